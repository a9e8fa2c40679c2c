"""The examples say what the programs understand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hybrid.agent import Agent
from hybrid.cli import parser
from hybrid.observe.routes import agent_routes
from hybrid.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TEXTS = {path: path.read_text() for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_every_probe_is_answered_by_an_agent() -> None:
    paths = set(agent_routes(Agent.__new__(Agent)))
    asked = {path for text in (*TEXTS.values(), OPERATIONS) for path in re.findall(r"/api/health(?:/[a-z]+)?", text)}
    assert asked and asked <= paths
    assert paths - asked <= {"/metrics"}


def test_every_command_line_is_one() -> None:
    unit = TEXTS[EXAMPLES / "systemd" / "hybrid-agent@.service"]
    started = re.findall(r"^ExecStart=\S+ -m hybrid (.*)$", unit, re.M)
    in_image = re.findall(r"^CMD (.*)$", TEXTS[EXAMPLES / "docker" / "Dockerfile"], re.M)
    arguments = [shlex.split(started[0]), json.loads(in_image[0])[3:]]
    for words in arguments:
        assert parser().parse_args(words).command == "agent"


def test_every_variable_is_a_setting() -> None:
    known = {field.metadata["variable"] for field in Settings.__dataclass_fields__.values()}
    known |= {"HYBRID_PANEL_PASSWORD_HASH", "HYBRID_FOLDER", "HYBRID_PROXY_URL"}
    named = {name for text in TEXTS.values() for name in re.findall(r"\b(?:HYBRID|REDIS|UPSTASH)_[A-Z_]+\b", text)}
    assert named <= known


def test_units_name_each_other() -> None:
    units = {path.name: path.read_text() for path in (EXAMPLES / "systemd").iterdir()}
    named = {name for text in units.values() for name in re.findall(r"hybrid-[\w@]+\.\w+", text)}
    assert {re.sub(r"@\w+\.", "@.", name) for name in named} <= set(units)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in (EXAMPLES / "systemd").iterdir():
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(), flags=re.M)
        (tmp_path / unit.name.replace("@.", "@1.")).write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_the_compose_file_is_whole() -> None:
    document = yaml.safe_load(TEXTS[EXAMPLES / "docker" / "compose.yaml"])
    services = document["services"]
    assert services.keys() == {"redis", "agent", "panel"} and services["agent"]["deploy"]["replicas"] == 2
    for service in services.values():
        assert service["restart"] == "always" and service["healthcheck"]["test"][0] == "CMD"
        assert service.get("depends_on", {}).keys() <= services.keys()
        assert {name.partition(":")[0] for name in service.get("volumes", ())} <= document["volumes"].keys()
    required = {name for service in services.values() for name in re.findall(r"\$\{(\w+):\?", str(service))}
    said = OPERATIONS[OPERATIONS.index("### Docker Compose") :]
    assert required == {"UPSTASH_REDIS_URL", "HYBRID_PANEL_PASSWORD_HASH"}
    assert "UPSTASH_REDIS_URL=" in said and "./run password >>" in said


def test_what_an_image_copies_is_there() -> None:
    for source in re.findall(r"^COPY (\S+) ", TEXTS[EXAMPLES / "docker" / "Dockerfile"], re.M):
        assert (ROOT / source).exists(), source
