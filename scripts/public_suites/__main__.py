"""Run a test suite that was not written here with HybridRedis in the place of redis.Redis.

    python -m scripts.public_suites SUITE [--protocol 2] [--server redis] [pytest's options and paths]

A suite comes from its package's source distribution on PyPI, kept in `.hybrid/public`; nothing of it is here.
After each test both stores must be identical. Tests that cannot pass are listed, with the reason, in
`expected`, and fail the run when they do pass.
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
    parser.add_argument("--server", choices=("valkey", "redis"), help="the local store's kind")
    options, rest = parser.parse_known_args(arguments)
    suite = SUITES[options.suite]
    folder = fetched(suite)
    binary = ServerBinary(DEBIAN_REDIS, "PATH") if (options.server or suite.server) == "redis" else find_server()
    with tempfile.TemporaryDirectory() as scratch:
        servers = [
            ServerProcess(Path(scratch, "local"), binary, persistent=False, options=suite.server_options),
            ServerProcess(Path(scratch, "cloud"), persistent=False, options=suite.server_options),
        ]
        try:
            for server in servers:
                server.start()
            environ = {"HYBRID_SUITE": options.suite, "HYBRID_SUITE_STORES": " ".join(it.url for it in servers)}
            if options.plain:
                environ["HYBRID_SUITE_PLAIN"] = "yes"
            words = {"url": servers[0].url, "protocol": options.protocol}
            return run(suite, folder, [*(it.format(**words) for it in suite.arguments), *rest], environ)
        finally:
            for server in servers:
                server.kill()


def run(suite: Suite, folder: Path, arguments: list[str], environ: dict[str, str]) -> int:
    """The suite in a process of its own, with our plugin; its exit code."""
    chosen = any((folder / word.partition("::")[0]).exists() for word in arguments if not word.startswith("-"))
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-p", "no:cacheprovider", "-p", suite.plugin]
    command += ["-p", "no:warnings", "-o", "addopts=", "-q", "--no-header", "--tb=native", "--timeout=60", *arguments]
    command += () if chosen else suite.paths
    whole = {**os.environ, **suite.environ, "PYTHONPATH": f"{ROOT}:{equipped(suite)}", **environ}
    return subprocess.run(command, cwd=folder, env=whole, check=False).returncode


def needs_of(suite: Suite) -> Path:
    """The folder for the packages that only the suite needs."""
    return CACHE / f"needs-of-{suite.expected[-1]}"


def equipped(suite: Suite) -> Path:
    """The same, filled."""
    folder = needs_of(suite)
    if suite.needs and not folder.exists():
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
        subprocess.run([*install, *suite.needs], check=True)
    return folder


def fetched(suite: Suite) -> Path:
    """The unpacked source distribution, downloaded the first time."""
    folder = CACHE / suite.name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", suite.package]
        subprocess.run([*download, "-d", str(CACHE), f"{suite.package}=={suite.version}"], check=True)
        with tarfile.open(CACHE / f"{suite.name}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
