"""Commands of all kinds on few keys, which several processes share: nobody knows what they should hold in the end, but
both stores must hold the same. Keys expire in the middle, effects and transactions are among them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from hybrid import HybridRedis

__all__ = ["mixed"]

KEYS_OF_A_KIND: Final = 2
LIVES_MS: Final = (100, 500, 1500, 2100, 2600, 4000)
"""Around the expiry guard."""

_Line = Callable[[Any], Any]


def mixed(random: Random, client: HybridRedis, token: str) -> Callable[[], Any]:
    """One command, or now and then a pipeline of a few."""
    lines = _lines(random, token)
    if random.random() < 0.8:
        line = random.choice(lines)
        return lambda: line(client)
    some, atomic = random.sample(lines, random.randrange(2, 5)), random.random() < 0.5

    def pipeline() -> Any:
        pipe = client.pipeline(transaction=atomic)
        for line in some:
            line(pipe)
        return pipe.execute(raise_on_error=False)

    return pipeline


def _lines(random: Random, token: str) -> list[_Line]:
    """On a client or a pipeline. What a list gets is unique."""
    number = random.randrange(KEYS_OF_A_KIND)
    text, count, members, fields, scores, items, stream = (f"mixed:{kind}:{number}" for kind in "tcmfsix")
    text2, members2, items2 = (f"mixed:{kind}:{(number + 1) % KEYS_OF_A_KIND}" for kind in "tmi")
    life_ms = random.choice(LIVES_MS)
    return [
        lambda to: to.set(text, token),
        lambda to: to.set(text, token, px=life_ms),
        lambda to: to.append(text, token),
        lambda to: to.getdel(text),
        lambda to: to.delete(text),
        lambda to: to.incrby(count, 5),
        lambda to: to.pexpire(count, life_ms),
        lambda to: to.persist(count),
        lambda to: to.delete(count),
        lambda to: to.sadd(members, token),
        lambda to: to.sadd(members, "fixed"),
        lambda to: to.srem(members, "fixed"),
        lambda to: to.spop(members),
        lambda to: to.pexpire(members, life_ms),
        lambda to: to.hset(fields, token, 1),
        lambda to: to.hset(fields, "fixed", token),
        lambda to: to.hdel(fields, "fixed"),
        lambda to: to.hincrby(fields, "count", 2),
        lambda to: to.delete(fields),
        lambda to: to.zadd(scores, {token: 1}),
        lambda to: to.zincrby(scores, 1, "fixed"),
        lambda to: to.zrem(scores, "fixed"),
        lambda to: to.delete(scores),
        lambda to: to.rpush(items, f"{token} last"),
        lambda to: to.lpush(items, f"{token} first"),
        lambda to: to.lpop(items),
        lambda to: to.pexpire(items, life_ms),
        lambda to: to.xadd(stream, {"token": token}),
        lambda to: to.delete(stream),
        lambda to: to.copy(text, text2, replace=True),
        lambda to: to.smove(members, members2, "fixed"),
        lambda to: to.sunionstore(members2, [members, members2]),
        lambda to: to.lmove(items, items2),
        lambda to: to.lmove(items, items2, "RIGHT", "LEFT"),
    ]
