"""The asyncio client under load while the local store is killed and comes back, and while it hangs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from rig import HEAL_S, Rig, is_well, patient_with
from servers import client

from hybrid import OutcomeUnknown, Store
from hybrid.aio import HybridRedis
from hybrid.stores.processes import ServerProcess

TASKS = 50


class Load:
    """Tasks that push tokens, each once, and read back what they wrote."""

    def __init__(self, hybrid: HybridRedis) -> None:
        self._hybrid = hybrid
        self.acked: list[str] = []
        self.unknown: list[str] = []
        self.stale: list[str] = []
        self.failed: list[BaseException] = []
        self.stopping = False
        self._tasks = [asyncio.ensure_future(self._push(number)) for number in range(TASKS)]

    async def _push(self, number: int) -> None:
        hybrid, count = self._hybrid, 0
        while not self.stopping:
            token = f"{number}:{(count := count + 1)}"
            try:
                await hybrid.rpush(f"list:{token}", token)
                self.acked.append(token)
                await hybrid.set(f"value:{token}", token)
                if await hybrid.get(f"value:{token}") != token:
                    self.stale.append(token)
                await hybrid.pipeline().incr(f"count:{token}").get(f"value:{token}").execute()
            except OutcomeUnknown:
                self.unknown.append(token)
            except Exception as error:
                self.failed.append(error)
            await asyncio.sleep(0.02)

    async def after(self, more: int) -> None:
        """Until so many more are acknowledged."""
        goal = len(self.acked) + more
        async with asyncio.timeout(HEAL_S):
            while len(self.acked) < goal:
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.gather(*self._tasks)


@pytest.mark.parametrize(
    ("fail", "ack"), [(ServerProcess.kill, "both"), (ServerProcess.pause, "local")], ids=["killed", "hung"]
)
def test_local_fails_under_load_and_returns(rig: Rig, fail: Callable[[ServerProcess], None], ack: str) -> None:
    rig.link(Store.CLOUD, 0.02)
    watcher = rig.client(**patient_with(Store.CLOUD))

    async def run() -> Load:
        settings = {"ack": ack, "decode_responses": True, **patient_with(Store.CLOUD)}
        async with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **settings) as hybrid:
            load, heard = Load(hybrid), hybrid.pubsub()
            await heard.subscribe("channel")
            await load.after(300)
            # While the cloud store catches up, as it does at first, a write is confirmed by the local one alone.
            await _until_well(hybrid)
            fail(rig.local)
            await load.after(300)
            assert (await hybrid.status()).authority is Store.CLOUD
            await _hear(hybrid, heard, "during the failover")
            rig.local.start()
            rig.local.resume()
            await _until_well(hybrid)
            await _hear(hybrid, heard, "after it")
            await load.after(300)
            await load.stop()
            await heard.aclose()
            return load

    load = asyncio.run(run())
    rig.assert_healed(watcher)
    with client(rig.cloud.url, decode_responses=True) as cloud:
        pipeline = cloud.pipeline(transaction=False)
        for key in cloud.keys("list:*"):
            pipeline.lrange(key, 0, -1)
        kept = Counter(token for tokens in pipeline.execute() for token in tokens)
    print(f"{len(load.acked)} acknowledged, {len(load.unknown)} unknown")
    assert not load.failed
    if ack == "both":
        # With `local`, what only the lost store has is not to be read until it returns.
        assert not load.stale
        assert not set(load.acked) - set(kept), "acknowledged, and lost"
    assert max(kept.values()) == 1, "nothing was applied twice"


async def _until_well(hybrid: HybridRedis) -> None:
    async with asyncio.timeout(HEAL_S):
        while not is_well(await hybrid.status()):
            await asyncio.sleep(0.02)


async def _hear(hybrid: HybridRedis, heard: object, words: str) -> None:
    """What is published reaches the subscription, once it has moved."""
    async with asyncio.timeout(HEAL_S):
        while True:
            await hybrid.publish("channel", words)
            message = await heard.get_message(ignore_subscribe_messages=True, timeout=0.1)  # type: ignore[attr-defined]
            if message is not None and message["data"] == words:
                return
