"""Simulate many seeds, or one with all that happened: `python -m tests.simulation --help`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from .nemesis import PROFILES
from .run import Result
from .sweep import results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="as 1000-5000; default 1-100")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--profile", default="", help=f"names, with commas between: {', '.join(PROFILES)}; default all")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print what happened, every command of both stores too")
    parser.add_argument("--keep-going", type=int, default=20, metavar="N", help="stop after N failing seeds")
    parser.add_argument(
        "--within", type=float, default=float("inf"), metavar="S", help="but for one each, begin none later"
    )
    options = parser.parse_args()
    profiles = options.profile.split(",") if options.profile else list(PROFILES)
    first, _, last = options.seeds.partition("-")
    seeds = [options.seed] if options.seed is not None else range(int(first), int(last or first) + 1)
    return report(
        results([(p, s, options.trace) for s in seeds for p in profiles], options.jobs), options, len(profiles)
    )


def report(found: Iterator[Result], options: argparse.Namespace, at_least: int) -> int:
    started_s = time.monotonic()
    runs, failing, kinds, excused = Counter[str](), list[Result](), Counter[str](), Counter[str]()
    virtual_s, commands, acked, unknown, longest_s = 0.0, 0, 0, 0, 0.0
    for result in found:
        runs[result.profile] += 1
        virtual_s, commands = virtual_s + result.seconds, commands + result.commands
        acked, unknown = acked + result.acked, unknown + result.unknown
        longest_s = max(longest_s, result.longest_s)
        excused += result.excused
        if options.trace:
            print(*result.record, sep="\n")
        if result.violations:
            failing.append(result)
            kinds.update({violation.partition(":")[0] for violation in result.violations})
            print(f"FAILED --profile {result.profile} --seed {result.seed}")
            for violation in result.violations[:5]:
                print(f"    {violation[:1000]}")
            sys.stdout.flush()
        is_late = time.monotonic() - started_s > options.within and runs.total() >= at_least
        if is_late or len(failing) >= options.keep_going:
            break
    took_s = time.monotonic() - started_s
    print(f"{runs.total()} runs in {took_s:.1f} s: {virtual_s:.0f} simulated seconds, {commands} commands")
    print(f"  {acked} tokens acknowledged, {unknown} outcomes unknown, longest stall {longest_s * 1000:.0f} ms")
    print("  runs: " + ", ".join(f"{profile} {count}" for profile, count in sorted(runs.items())))
    for reason, count in excused.most_common():
        print(f"  not held against it: {count} times {reason}")
    print(f"  failing: {len(failing)}" + "".join(f", {kind} in {count}" for kind, count in kinds.most_common()))
    return 1 if failing else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"  # the order of sets must not depend on the day
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
