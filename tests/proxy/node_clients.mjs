// The two clients of Node, doing the same through the proxy, and a queue; what they were answered, as JSON.

import { Queue, Worker } from "bullmq";
import Redis from "ioredis";
import { createClient } from "redis";

const [url] = process.argv.slice(2);

async function withRedis(RESP) {
  const client = createClient({ url: `${url}/0`, RESP, name: "node" });
  client.on("error", (error) => console.error(error));
  await client.connect();
  const other = await client.duplicate().connect();
  const found = {};
  await client.flushAll();
  found.set = await client.set("key", "value");
  found.get = await client.get("key");
  await client.hSet("hash", { a: "1", b: "2" });
  found.hash = { ...(await client.hGetAll("hash")) };
  found.many = await Promise.all([client.incr("n"), client.incr("n"), client.incr("n"), client.get("n")]);
  found.transaction = await client.multi().set("key", "again").incr("n").exec();
  await client.watch("key");
  await other.set("key", "theirs");
  found.watched = await client.multi().set("key", "ours").exec().catch(() => null);
  const popped = other.blPop("jobs", 5);
  await client.rPush("jobs", "job");
  found.popped = (await popped).element;
  await client.zAdd("scores", { score: 1.5, value: "m" });
  const [{ value, score }] = await client.zRangeWithScores("scores", 0, -1);
  found.scores = [value, score];
  const heard = new Promise((resolve) => other.subscribe("channel", resolve).then(() => client.publish("channel", "hello")));
  found.message = await heard;
  found.error = await client.lPush("key", "x").catch((error) => error.message);
  await Promise.all([client.close(), other.close()]);
  return found;
}

async function withIoredis() {
  const client = new Redis(url);
  const other = client.duplicate();
  const found = {};
  await client.flushall();
  found.set = await client.set("key", "value");
  found.get = await client.get("key");
  await client.hset("hash", { a: "1", b: "2" });
  found.hash = await client.hgetall("hash");
  found.many = (await client.pipeline().incr("n").incr("n").incr("n").get("n").exec()).map(([, reply]) => reply);
  found.transaction = (await client.multi().set("key", "again").incr("n").exec()).map(([, reply]) => reply);
  await client.watch("key");
  await other.set("key", "theirs");
  found.watched = await client.multi().set("key", "ours").exec();
  const popped = other.blpop("jobs", 5);
  await client.rpush("jobs", "job");
  found.popped = (await popped)[1];
  await client.zadd("scores", 1.5, "m");
  const [member, score] = await client.zrange("scores", 0, -1, "WITHSCORES");
  found.scores = [member, Number(score)];
  const heard = new Promise((resolve) => other.on("message", (_, message) => resolve(message)));
  await other.subscribe("channel");
  await client.publish("channel", "hello");
  found.message = await heard;
  found.error = await client.lpush("key", "x").catch((error) => error.message);
  client.disconnect();
  other.disconnect();
  return found;
}

async function withBullmq() {
  const { hostname: host, port, username, password } = new URL(url);
  const connection = { host, port: Number(port), username, password, maxRetriesPerRequest: null };
  const queue = new Queue("mail", { connection });
  const done = [];
  const worker = new Worker("mail", async (job) => done.push(job.data.n), { connection });
  const finished = new Promise((resolve) => worker.on("completed", () => done.length === 6 && resolve()));
  for (let n = 0; n < 6; n++) await queue.add("send", { n }, { delay: n % 2 ? 20 : 0, removeOnComplete: n < 3 });
  await finished;
  await worker.close();
  const { completed } = await queue.getJobCounts();
  await queue.close();
  return { done: done.sort(), completed };
}

const found = { "redis, RESP2": await withRedis(2), "redis, RESP3": await withRedis(3), ioredis: await withIoredis() };
found.bullmq = await withBullmq();
process.stdout.write(JSON.stringify(found));
