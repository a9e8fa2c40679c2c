"""Differences as rows: CSV, JSON lines, or whatever a caller makes of them (the panel: a table, Parquet)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hybrid.core.drift import Difference, DiffResult
from hybrid.core.field_diff import FieldDifference

__all__ = ["COLUMNS", "defused", "field_row", "result_document", "rows", "shown", "write_csv", "write_json_lines"]

COLUMNS: Final = (
    "key",
    "cause",
    "causes",
    "type_local",
    "type_cloud",
    "size_local_bytes",
    "size_cloud_bytes",
    "expires_local_ms",
    "expires_cloud_ms",
    "detail",
)


def shown(value: bytes) -> str:
    """Bytes as text: what is no UTF-8 is escaped."""
    return value.decode(errors="backslashreplace")


def rows(differences: Iterable[Difference]) -> Iterator[dict[str, Any]]:
    """One row for each difference, with `COLUMNS`; None where a side has nothing."""
    for d in differences:
        local, cloud = d.local, d.cloud
        values = (
            shown(d.key),
            d.cause.value,
            ", ".join(d.causes),
            d.type_local,
            d.type_cloud,
            local.size_bytes if local else None,
            cloud.size_bytes if cloud else None,
            local.expires_at_ms if local else None,
            cloud.expires_at_ms if cloud else None,
            d.detail,
        )
        yield dict(zip(COLUMNS, values, strict=True))


def field_row(difference: FieldDifference) -> dict[str, Any]:
    """One place within a key."""
    local, cloud = difference.local, difference.cloud
    return {
        "part": difference.part.value,
        "name": shown(difference.name),
        "local": None if local is None else shown(local),
        "cloud": None if cloud is None else shown(cloud),
    }


def result_document(result: DiffResult) -> dict[str, Any]:
    """The sums of a diff, for JSON."""
    costs = {
        name: {field: getattr(cost, field) for field in cost.__slots__}
        for name, cost in (("estimated", result.estimated), ("actual", result.actual))
    }
    return {
        "id": result.id,
        "pattern": shown(result.scope.pattern),
        "type": result.scope.kind,
        "strategy": result.strategy,
        "ending": result.ending.value,
        "equal": result.equal,
        "compared": result.compared,
        "different": result.different,
        "in_flight": result.in_flight,
        "suspected": result.suspected,
        "counts": {cause.value: count for cause, count in result.counts.items()},
        "ttl_share": result.ttl_share,
        "started_at_s": result.started_at_s,
        "ended_at_s": result.ended_at_s,
        **costs,
    }


def write_csv(path: Path, differences: Iterable[Difference]) -> None:
    """Raises OSError when the file cannot be written."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(map(defused, rows(differences)))


def defused(row: dict[str, Any]) -> dict[str, Any]:
    """Keys are anyone's data: a spreadsheet must not take one for a formula."""
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
        for name, value in row.items()
    }


def write_json_lines(path: Path, differences: Iterable[Difference]) -> None:
    """Raises OSError when the file cannot be written."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(differences))
