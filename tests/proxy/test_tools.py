"""Clients that were not written here: redis-cli, redis-benchmark, and Node's from npm.

Without them these tests are skipped, or fail where HYBRID_REQUIRE names them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from client.rig import assert_equal
from proxy.conftest import Open
from servers import Stores, client, wait_until

from hybrid.proxy import ProxyServer
from hybrid.types import Store

PACKAGES = ("redis@6.3.1", "ioredis@6.0.0", "bullmq@6.7.0")
SCRIPT = Path(__file__).with_name("node_clients.mjs")


def tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not on PATH", package)
    return str(path)


def missing(why: str, package: str) -> None:
    if package in os.environ.get("HYBRID_REQUIRE", ""):
        pytest.fail(f"HYBRID_REQUIRE wants {package}: {why}")
    pytest.skip(why)


def ran(*command: str, given: str = "", **options: object) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=90, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_redis_cli(proxy: ProxyServer) -> None:
    cli = [tool("redis-cli", "redis-tools"), "-p", str(proxy.address[1])]
    lines = ("SET k v", "GET k", "HSET h a 1", "MULTI", "INCR n", "EXEC", "INFO server", "COMMAND COUNT", "NOPE")
    answers = ran(*cli, given="\n".join(lines))
    assert answers.startswith("OK\nv\n1\nOK\nQUEUED\n1\n"), answers
    assert "redis_version" in answers and answers.rstrip().endswith(
        "ERR unknown command 'NOPE', with args beginning with:"
    )
    assert ran(*cli, "-3", "HGETALL", "h").split() == ["a", "1"]
    assert set(ran(*cli, "--scan").split()) == {"k", "h", "n"}
    assert "Sampled 3 keys" in ran(*cli, "--bigkeys")
    assert ran(*cli, "--pipe", given="".join(f"SET piped:{number} x\r\n" for number in range(2000))).count("errors: 0")
    assert ran(*cli, "DBSIZE").strip() == "2003"


def benchmark(server: ProxyServer, *arguments: str) -> dict[str, float]:
    """Requests per second by test. redis-benchmark ends at the first error reply."""
    command = (tool("redis-benchmark", "redis-tools"), "-p", str(server.address[1]), "-q", *arguments)
    shown = ran(*command)
    assert "rror" not in shown, shown
    return {name: float(rate) for name, rate in re.findall(r"([A-Z][\w (),]*): ([\d.]+) requests per second", shown)}


def test_redis_benchmark(proxy: ProxyServer) -> None:
    usual = benchmark(proxy, "-n", "600", "-c", "10", "-P", "8")
    assert len(usual) == 20, usual
    assert set(benchmark(proxy, "-n", "2000", "-c", "400", "-t", "get,set,mset", "-r", "100")) >= {"GET", "SET"}


def test_redis_benchmark_while_the_local_store_dies(open_proxy: Open, stores: Stores) -> None:
    server = open_proxy(local_timeout_s=0.5, ack="local")
    found: list[dict[str, float]] = []

    def measure() -> None:
        found.append(benchmark(server, "-n", "40000", "-c", "20", "-P", "8", "-r", "1000", "-t", "set,get"))

    running = threading.Thread(target=measure)
    running.start()
    with client(stores.local.url) as local:
        wait_until(lambda: local.dbsize() > 500, "the benchmark's writes")
    stores.local.kill()
    wait_until(lambda: server.client.status().authority is Store.CLOUD, "the failover")
    assert running.is_alive(), "the benchmark was over before"
    running.join()
    assert found and set(found[0]) == {"SET", "GET"}
    stores.local.start()
    wait_until(lambda: server.client.status().authority is Store.LOCAL, "the failback", 30)
    assert_equal(server.client, stores)


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """Where the packages are, installed once and kept."""
    tool("node", "nodejs")
    npm = tool("npm", "npm")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("-".join(["node", *PACKAGES]).replace("@", "-"))
    if not (folder / "done").exists():
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        if done.returncode:
            missing(f"npm cannot install {', '.join(PACKAGES)}: {done.stderr[-300:]}", "npm")
        (folder / "done").touch()
    return folder / "node_modules"


def test_the_clients_of_node(open_proxy: Open, node_modules: Path, stores: Stores, tmp_path: Path) -> None:
    server = open_proxy("sesame")
    (tmp_path / "node_modules").symlink_to(node_modules)
    script = shutil.copy(SCRIPT, tmp_path)
    url = server.url.replace("redis://", "redis://default:sesame@")
    answers = json.loads(ran(tool("node", "nodejs"), str(script), url))
    usual = {
        "set": "OK",
        "get": "value",
        "hash": {"a": "1", "b": "2"},
        "many": [1, 2, 3, "3"],
        "transaction": ["OK", 4],
        "watched": None,
        "popped": "job",
        "scores": ["m", 1.5],
        "message": "hello",
        "error": "WRONGTYPE Operation against a key holding the wrong kind of value",
    }
    # Its scripts write keys that they are not given: that these are on both stores is what assert_equal shows.
    assert answers.pop("bullmq") == {"done": [0, 1, 2, 3, 4, 5], "completed": 3}
    assert answers == {"redis, RESP2": usual, "redis, RESP3": usual, "ioredis": usual}
    assert_equal(server.client, stores)
