"""The same calls with the same answers as redis-py's, through the asyncio client."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from aio.rig import Face
from client.calls import LINES, answer
from client.test_pipeline import failing, mixed
from servers import Pool, client

from hybrid import CommandRefused

FORMS: dict[str, dict[str, Any]] = {
    "resp2-bytes": {"protocol": 2, "decode_responses": False},
    "resp3-str": {"protocol": 3, "decode_responses": True},
}
forms = pytest.mark.parametrize(("face", "form"), [(it, it) for it in FORMS.values()], indirect=["face"], ids=FORMS)
kinds = pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "pipeline"])


@forms
def test_every_call_is_answered_as_by_redis_py(face: Face, form: dict[str, Any], server_pool: Pool) -> None:
    with client(server_pool.get("valkey", "plain").url, **form) as plain:
        wrong = []
        for line in (line for line in LINES if '"item"' not in line):  # redis.asyncio has no r[key] either
            expected, found = answer(line, plain), answer(line, face)
            if found != expected:
                wrong.append(f"{line}: {found!r}, redis-py: {expected!r}")
    assert not wrong, "\n".join(wrong)


@kinds
@forms
def test_pipelines_are_answered_as_by_redis_py(
    face: Any, form: dict[str, Any], server_pool: Pool, transaction: bool
) -> None:
    with client(server_pool.get("valkey", "plain").url, **form) as plain:
        assert mixed(face, transaction) == mixed(plain, transaction)


@kinds
def test_errors_inside_a_pipeline_are_those_of_redis_py(face: Any, server_pool: Pool, transaction: bool) -> None:
    with client(server_pool.get("valkey", "plain").url, decode_responses=True) as plain:
        assert failing(face, transaction, False) == failing(plain, transaction, False)
    with pytest.raises(redis.ResponseError, match=r"Command # 2 \(INCRBY text 1\) of pipeline caused error"):
        failing(face, transaction, True)


def test_nobody_takes_a_connection_past_the_client(face: Any) -> None:
    with pytest.raises(CommandRefused, match="hybrid decides which store"):
        face.connection_pool.get_connection()


def test_scripts_and_functions(face: Any) -> None:
    script = face.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert script(keys=["n"], args=[5]) == 5
    pipeline = face.pipeline()
    script(keys=["n"], args=[5], client=pipeline._target)
    assert pipeline.execute() == [10]
    face.function_load("#!lua name=l\nredis.register_function('f', function(k) return redis.call('INCR', k[1]) end)")
    assert face.fcall("f", 1, "n") == 11


def test_what_cannot_be_kept_equal_is_refused_by_name(face: Any) -> None:
    with pytest.raises(CommandRefused, match="by getfenv it could write"):
        face.eval("return getfenv().redis.call('SET', 'k', 'v')", 0)
    with pytest.raises(CommandRefused, match="hybrid's own"):
        face.set("hybrid:log", 1)
    with pytest.raises(redis.DataError):
        face.set("k", {})
