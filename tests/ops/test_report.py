from __future__ import annotations

import json

from hybrid.ops.drills import LatencyRow, Report, Step, StepState
from hybrid.ops.drills.rig import loopback_url

PASSED = Step("a", "Status", "Local store answers", StepState.PASSED, "Valkey | fine", 1.5)
FAILED = Step("b", "Failover", "Local store lost", StepState.FAILED, "3 of 9 calls failed", 900.0)
SKIPPED = Step("c", "Performance", "Cloud store alone", StepState.SKIPPED, "no cloud store is configured", None)


def report(*steps: Step, cancelled: bool = False) -> Report:
    row = LatencyRow("GET", "client", 200, 0.1, 0.2, 0.3)
    return Report(1.0, 3.5, steps, (row,), {"local hung": 120.0}, {"local hung": 0.5}, cancelled)


def test_a_run_passes_only_complete_and_without_failure() -> None:
    assert report(PASSED, SKIPPED).passed
    assert not report(PASSED, FAILED).passed
    assert not report(PASSED, cancelled=True).passed
    assert report(PASSED, FAILED, SKIPPED).verdict == "failed: 1 passed, 1 failed, 1 skipped in 2.5 s"


def test_json_holds_everything() -> None:
    document = json.loads(report(PASSED, FAILED).to_json())
    assert document["passed"] is False
    assert document["steps"][1]["detail"] == "3 of 9 calls failed"
    assert document["latency"][0]["p95_ms"] == 0.2
    assert document["recovery_s"] == {"local hung": 0.5}


def test_markdown_is_grouped_and_keeps_its_tables_whole() -> None:
    text = report(FAILED, PASSED).to_markdown()
    assert text.index("## Status") < text.index("## Failover") < text.index("## Latency")
    assert "Valkey \\| fine" in text
    assert "| GET | client | 200 | 0.10 | 0.20 | 0.30 |" in text


def test_a_url_through_the_link_keeps_credentials_and_the_verification_of_the_chain() -> None:
    assert loopback_url("redis://10.0.0.1:6379/2", 5) == "redis://127.0.0.1:5/2"
    assert (
        loopback_url("rediss://default:p%40ss@db.example:6379?ssl_ca_certs=/a%20b", 5)
        == "rediss://default:p%40ss@127.0.0.1:5?ssl_ca_certs=%2Fa+b&ssl_check_hostname=false"
    )
