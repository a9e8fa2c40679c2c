"""The examples say what the programs understand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

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


def test_what_an_image_copies_is_there() -> None:
    for source in re.findall(r"^COPY (\S+) ", TEXTS[EXAMPLES / "docker" / "Dockerfile"], re.M):
        assert (ROOT / source).exists(), source
