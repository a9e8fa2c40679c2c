"""Which keys have writes on their way to the other store: those that the replication log names."""

from __future__ import annotations

from collections.abc import Iterable

import redis

from hybrid.core.names import Names
from hybrid.core.shipping import Field, groups
from hybrid.ops.diff.line import Line
from hybrid.replication.growth import LEAST_PAGE

__all__ = ["InFlight", "read_in_flight"]


class InFlight:
    """Keys named by the log; every key, when a store is being emptied or refilled."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.everything = False

    def __contains__(self, key: bytes) -> bool:
        return self.everything or key in self.keys


def read_in_flight(lines: Iterable[Line], names: Names) -> InFlight:
    """Read the logs of the stores: the entries there are not applied to the other one yet."""
    found = InFlight()
    for line in lines:
        start, unfinished = b"-", list[Field]()
        while True:
            try:
                [entries] = line.ask((b"XRANGE", names.log, start, b"+", b"COUNT", b"%d" % LEAST_PAGE))
            except redis.ResponseError as error:
                if "WRONGTYPE" in str(error):
                    break
                raise
            for group in groups(entries, unfinished):
                found.keys.update(group.keys)
                found.everything |= group.empties or group.refills
            if len(entries) < LEAST_PAGE:
                break
            start = b"(" + entries[-1][0]
    return found
