"""What the papers say is so: links lead somewhere, examples parse, settings and requirements agree with the code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from servers import Stores, client

from hybrid.ops.control import PRESETS
from hybrid.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAPERS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
SETTINGS = {field.metadata["variable"]: field for field in fields(Settings)}
MADE_BY_SCRIPTS = "docs/images/"


def written(value: Any) -> str:
    """A default as a user writes it in `.env`."""
    if value in (None, ()):
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def anchors(paper: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", paper.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_links_lead_somewhere(paper: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", paper.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        made = target.is_relative_to(ROOT / MADE_BY_SCRIPTS)
        if not (made or target.exists()) or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_python_examples_parse(paper: Path) -> None:
    for example in re.findall(r"^```python\n(.*?)^```", paper.read_text(), re.M | re.S):
        ast.parse(example)


def test_readme_example_runs(stores: Stores, tmp_path: Path) -> None:
    example = re.search(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert example
    urls = {"REDIS_URL": stores.local.url, "UPSTASH_REDIS_URL": stores.cloud.url}
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **urls}
    command = [sys.executable, "-c", example[1]]
    shown = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert shown.stdout == "b'hello'\n", shown.stderr
    with client(stores.cloud.url) as cloud:
        assert cloud.get("greeting") == b"hello"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", CONFIGURATION, re.M))
    for variable, field in SETTINGS.items():
        argument, _, default, _ = re.split(r" \| ", rows[variable], maxsplit=3)
        assert (argument.strip("`"), default.strip("`")) == (field.name, written(field.default)), variable


def test_env_example_has_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    assert dotenv_values(stream=StringIO(text)) == {}, "a copy must change nothing"
    offered = dotenv_values(stream=StringIO(re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.M)))
    for variable, field in SETTINGS.items():
        if not variable.endswith("_URL"):
            assert offered[variable] == written(field.default).replace("none", ""), variable
    values = {SETTINGS[name].name: text for name, text in offered.items() if name in SETTINGS}
    assert len(values) == len(SETTINGS)
    Settings.from_env(env_file=None, environ={name: text or "" for name, text in offered.items()})


def test_every_variable_that_the_code_reads_is_documented() -> None:
    sources = [
        *ROOT.glob("*.py"),
        *(path for folder in ("hybrid", "panel", "pages") for path in ROOT.glob(f"{folder}/**/*.py")),
    ]
    read = {name for path in sources for name in re.findall(r'"((?:HYBRID|REDIS|UPSTASH)_[A-Z_]+)"', path.read_text())}
    assert read >= set(SETTINGS)
    assert [name for name in sorted(read) if f"`{name}`" not in CONFIGURATION] == []


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_written_as_they_are_applied(preset: str) -> None:
    section = re.search(rf"^\*\*{preset}\*\*.*?^```sh\n(.*?)^```", CONFIGURATION, re.M | re.S)
    assert section, f"docs/configuration.md does not describe the preset {preset}"
    settings = Settings.from_env(None, dict(line.split("=", 1) for line in section[1].split()))
    assert {name: getattr(settings, name) for name in PRESETS[preset]} == dict(PRESETS[preset])
    assert settings == Settings(**PRESETS[preset])


def test_the_library_alone_is_light() -> None:
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert names == {"redis", "python-dotenv"}


def test_pins_satisfy_the_ranges_of_the_package() -> None:
    extras = PROJECT["optional-dependencies"]
    pins = pinned("requirements.txt") | pinned("requirements-dev.txt")
    for text in [*PROJECT["dependencies"], *(text for group in extras.values() for text in group)]:
        requirement = Requirement(text)
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement.name}=={version} is pinned, {text} is allowed"


def test_every_requirement_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert not line or re.match(r"#|-r requirements\.txt$|[\w.-]+==[\w.]+(;|$)", line), line


def test_changelog_knows_the_version() -> None:
    assert re.search(rf"^## {re.escape(PROJECT['version'])}$", (ROOT / "CHANGELOG.md").read_text(), re.M)


def pinned(name: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.M)
    return {canonicalize_name(package): version for package, version in pins}
