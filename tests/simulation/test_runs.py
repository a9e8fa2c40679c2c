"""Many seeds of the simulation find nothing, and a mistake in the library would be found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from hybrid.core import shipping
from hybrid.core.authority import Authority
from hybrid.replication import rejoin
from hybrid.replication.catch_up import CatchUp
from tests.simulation.nemesis import PROFILES
from tests.simulation.run import simulate

ROOT = Path(__file__).parents[2]
SOUND = [profile for profile in PROFILES if profile != "older"]
"""Without the faults that the library does not claim to survive, see docs/limits.md."""


SEEDS = 60
"""Of each profile, twice: two thousand runs in all, in some minutes."""


@pytest.mark.parametrize("first", [1, 1 + SEEDS])
@pytest.mark.parametrize("profile", SOUND)
def test_no_seed_breaks_an_invariant(profile: str, first: int) -> None:
    """In a process of its own, as the soak runs, so that a seed found here is found by hand as well."""
    seeds = f"{first}-{first + SEEDS - 1}"
    command = [sys.executable, "-m", "tests.simulation", "--jobs", "1", "--seeds", seeds, "--profile", profile]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{profile} {SEEDS}" in done.stdout, done.stdout


@pytest.mark.parametrize("profile", ["all", "wiped"])
def test_a_seed_always_gives_the_same_run(profile: str) -> None:
    first, again = simulate(profile, 7), simulate(profile, 7)
    assert first.record == again.record
    assert first.commands == again.commands > 0


def found(profile: str, seeds: range) -> set[str]:
    """The kinds of violations in these runs."""
    return {text.partition(":")[0] for seed in seeds for text in simulate(profile, seed).violations}


def test_replaying_what_a_copy_contains_already_is_found() -> None:
    def plan(group: Any, skip: Any, now_ms: int, lasting: Any) -> None:
        return None

    with patch("hybrid.replication.follow.plan", plan):
        # About one run in ten finds it: which one changes with every change of the library.
        assert any(found("cloud", range(seed, seed + 1)) & {"applied twice", "the stores differ"} for seed in range(80))
    assert shipping.plan is not plan


def test_forgetting_the_returning_stores_tail_is_found() -> None:
    with patch.object(rejoin, "kept_seal", lambda *_: ((2**62, 0), None)), patch.object(rejoin, "last_place", _far):
        # About one run in ten finds it: which one changes with every change of the library.
        assert any("lost" in found("stores", range(seed, seed + 1)) for seed in range(80))


def _far(*_: object) -> tuple[int, int]:
    return (2**63, 0)


def test_a_fence_that_admits_everybody_is_found() -> None:
    with patch.object(Authority, "admits", lambda *_: True):
        # About one run in eight finds it: which one changes with every change of the library.
        assert any(found("all", range(seed, seed + 1)) for seed in range(80))


def test_a_catch_up_that_copies_nothing_is_found() -> None:
    copies_nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    with patch.object(CatchUp, "copy", copies_nothing):
        assert "the stores differ" in found("cloud", range(1, 6))
