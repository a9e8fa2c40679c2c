"""Run a test suite that was not written here with HybridRedis in the place of redis.Redis.

    python -m scripts.public_suites redis-py [--protocol 2] [--server redis] [pytest's options and paths]

The suite comes from the package's source distribution on PyPI, kept in `.hybrid/public`; nothing of it is here.
After each test both stores must be identical. Tests that cannot pass are listed, with the reason, in
`expected.py`, and fail the run when they do pass.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from hybrid.stores.processes import ServerBinary, ServerProcess, find_server
from scripts.public_suites.suites import SUITES, Suite

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".hybrid" / "public"
DEBIAN_REDIS = Path("/usr/bin/redis-server")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.public_suites", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--protocol", choices=("2", "3"), default="3")
    parser.add_argument("--plain", action="store_true", help="redis.Redis itself, to see what fails on this server")
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey", help="the local store's kind")
    options, rest = parser.parse_known_args(arguments)
    suite = SUITES[options.suite]
    folder = fetched(suite)
    binary = ServerBinary(DEBIAN_REDIS, "PATH") if options.server == "redis" else find_server()
    with tempfile.TemporaryDirectory() as scratch:
        servers = [
            ServerProcess(Path(scratch, "local"), binary, persistent=False, options=suite.server_options),
            ServerProcess(Path(scratch, "cloud"), persistent=False, options=suite.server_options),
        ]
        try:
            for server in servers:
                server.start()
            environ = {"HYBRID_SUITE_STORES": " ".join(server.url for server in servers)}
            if options.plain:
                environ["HYBRID_SUITE_PLAIN"] = "yes"
            arguments = suite.arguments(servers[0].url, options.protocol)
            return run(suite, folder, [*arguments, *rest], environ)
        finally:
            for server in servers:
                server.kill()


def run(suite: Suite, folder: Path, arguments: list[str], environ: dict[str, str]) -> int:
    """The suite in a process of its own, with our plugin; its exit code."""
    chosen = any((folder / word.partition("::")[0]).exists() for word in arguments if not word.startswith("-"))
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-p", "no:cacheprovider", "-p", suite.plugin]
    command += ["-q", "--no-header", "--tb=native", "--timeout=60", *arguments, *(() if chosen else suite.paths)]
    whole = {**os.environ, "PYTHONPATH": f"{ROOT}:{equipped(suite)}", **environ}
    return subprocess.run(command, cwd=folder, env=whole, check=False).returncode


def equipped(suite: Suite) -> Path:
    """A folder with the packages that only the suite needs."""
    folder = CACHE / f"needs-of-{suite.plugin}"
    if suite.needs and not folder.exists():
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
        subprocess.run([*install, *suite.needs], check=True)
    return folder


def fetched(suite: Suite) -> Path:
    """The unpacked source distribution, downloaded the first time."""
    folder = CACHE / f"{suite.package}-{suite.version}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        asked = f"{suite.package}=={suite.version}"
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*download, "-d", str(CACHE), asked], check=True)
        with tarfile.open(next(CACHE.glob(f"{suite.package.replace('-', '_')}-{suite.version}.tar.gz"))) as archive:
            archive.extractall(CACHE, filter="data")
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
