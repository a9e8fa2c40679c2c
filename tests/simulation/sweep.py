"""Many runs, in several processes.

A module of its own: a process that is spawned cannot find what is defined in a package's `__main__`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .run import Result, simulate

__all__ = ["Run", "results"]

Run = tuple[str, int, bool]
"""Profile, seed, and whether to record everything."""


def results(runs: list[Run], jobs: int) -> Iterator[Result]:
    """In the order of `runs`. Raises BrokenProcessPool when one of several processes dies."""
    if jobs == 1:
        yield from map(_simulate, runs)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_simulate, runs, chunksize=4)


def _simulate(run: Run) -> Result:
    profile, seed, verbose = run
    result = simulate(profile, seed, verbose=verbose)
    if not verbose and not result.violations:
        result.record = []
    return result
