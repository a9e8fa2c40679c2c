"""`python -m hybrid alerts list|ack|silence|maintenance|quiets|end|rules|set|summary|deliveries|test`."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from hybrid.agent import open_client
from hybrid.cli.config import span_s
from hybrid.cli.confirm import author
from hybrid.cli.terminal import Terminal, aligned
from hybrid.errors import ConfigurationError
from hybrid.ops.alerts import EDITABLE, AlertControl, Incident, Quiet, RuleRow, Unit, length, number, title_of

__all__ = ["add_arguments", "run"]

Result = tuple[Any, list[str], int]
"""For --json, for people, and the exit code."""


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """The actions of `alerts` and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions")

    def action(name: str, text: str, act: Callable[..., Result]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text[0].lower() + text[1:], description=f"{text}.", parents=[common])
        sub.set_defaults(act=act)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    listed = action("list", "Show what fires, and what did; exit code 1 while something does", list_incidents)
    listed.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: 20)")
    action("deliveries", "Show what was sent to whom, and what failed", list_deliveries)
    action("rules", "Show the rules in force", list_rules)
    action("test", "Send a test alert to every receiver of HYBRID_ALERT_URLS, from here", send_test)
    action("quiets", "Show silences and maintenance windows", list_quiets)
    ack = action("ack", "Say that you take care of an incident: no more reminders", acknowledge)
    ack.add_argument("incident", help="its id, or how it begins")
    silence = action("silence", "Tell nothing for a while", silence_rules)
    silence.add_argument("rules", nargs="*", metavar="RULE", help="only these rules (default: all)")
    maintenance = action("maintenance", "Plan a time in which nothing is told", plan_maintenance)
    maintenance.add_argument("--at", metavar="TIME", help="when it begins, UTC: 2027-01-31T22:00 (default: now)")
    for quiet in (silence, maintenance):
        quiet.add_argument("--for", dest="for_s", type=span_s, required=True, metavar="TIME", help="30m, 2h or 1d")
        quiet.add_argument("--store", default="", choices=("local", "cloud"), help="only what is about this store")
        quiet.add_argument("--reason", default="", metavar="TEXT", help="why")
    end = action("end", "End a silence or a maintenance window", end_quiet)
    end.add_argument("quiet", help="its id, or how it begins")
    change = action("set", "Change a rule for every agent; without values, as it was built in", change_rule)
    change.add_argument("rule", help="as `alerts rules` shows it")
    change.add_argument("values", nargs="*", metavar="NAME=VALUE", help=f"NAME is one of {', '.join(EDITABLE)}")
    summary = action("summary", "Send a daily summary", set_summary)
    summary.add_argument("when", help="HH:MM in UTC, or off")


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Do what was asked for."""
    with open_client(options.env_file, options.folder, name="hybrid alerts") as client:
        client.start()
        with AlertControl(client) as control:
            act: Callable[..., Result] = options.act
            result, lines, code = act(control, options)
    terminal = Terminal()
    for line in [json.dumps(result, indent=2, default=str)] if options.json else lines:
        terminal.line(line)
    return code


def list_incidents(control: AlertControl, options: argparse.Namespace) -> Result:
    found = control.incidents(options.limit)
    rows = [("id", "state", "since", "what", "found"), *map(incident_row, found)]
    lines = aligned(rows) if found else ["nothing fires, and nothing did"]
    return [asdict(each) for each in found], lines, int(any(each.is_active for each in found))


def incident_row(incident: Incident) -> tuple[str, ...]:
    state = incident.state.value
    if incident.acknowledged_by and incident.is_active:
        state += f" by {incident.acknowledged_by}"
    lasted = f", lasted {length(incident.resolved_s - incident.opened_s)}" if not incident.is_active else ""
    return incident.id, state, clock(incident.opened_s), title_of(*incident.key), incident.text + lasted


def list_deliveries(control: AlertControl, options: argparse.Namespace) -> Result:
    found = control.deliveries()
    rows = [("when", "receiver", "state", "tries", "message", "error")]
    for row in found:
        delivery, message = row.delivery, row.message
        cells = (row.receiver or "nobody yet", delivery.state.value, str(delivery.attempts), message.title)
        rows.append((clock(message.made_s), *cells, delivery.error))
    failed = any(row.delivery.error for row in found)
    documents = [{"message": row.message.id, "receiver": row.receiver, **asdict(row.delivery)} for row in found]
    return documents, aligned(rows) if found else ["nothing was sent yet"], int(failed)


def list_rules(control: AlertControl, options: argparse.Namespace) -> Result:
    found = control.rules()
    rows = [("rule", "on", "severity", "raises", "clears", "changed"), *map(rule_row, found)]
    summary = control.desk().summary.minute
    when = "off" if summary is None else f"at {summary // 60:02}:{summary % 60:02} UTC"
    return [asdict(row.rule) for row in found], [*aligned(rows), f"daily summary: {when}"], 0


def rule_row(row: RuleRow) -> tuple[str, ...]:
    rule = row.rule
    side, other = ("below", "at least") if rule.below else ("above", "at most")
    raises = "" if rule.unit is Unit.STATE else f"{side} {number(rule.threshold, rule.unit)} "
    clears = "" if rule.unit is Unit.STATE else f"{other} {number(rule.clears_at, rule.unit)} "
    by = f"by {row.change.author}, {clock(row.change.at_s)}" if row.change and row.change.values else ""
    enabled = "yes" if rule.enabled else "no"
    return (
        *(rule.name, enabled, rule.severity.value),
        *(f"{raises}for {length(rule.raise_after_s)}", f"{clears}for {length(rule.clear_after_s)}", by),
    )


def list_quiets(control: AlertControl, options: argparse.Namespace) -> Result:
    found = control.quiets()
    rows = [("id", "kind", "from", "until", "about", "by", "reason"), *map(quiet_row, found)]
    return [asdict(each) for each in found], aligned(rows) if found else ["everything is told"], 0


def quiet_row(quiet: Quiet) -> tuple[str, ...]:
    about = ", ".join(quiet.rules) or "everything"
    about += f" on {quiet.subject}" if quiet.subject else ""
    kind = "maintenance" if quiet.maintenance else "silence"
    return quiet.id, kind, clock(quiet.from_s), clock(quiet.until_s), about, quiet.author, quiet.reason


def acknowledge(control: AlertControl, options: argparse.Namespace) -> Result:
    incident = control.acknowledge(author(), options.incident)
    return asdict(incident), [f"acknowledged: {title_of(*incident.key)} ({incident.id})"], 0


def silence_rules(control: AlertControl, options: argparse.Namespace) -> Result:
    quiet = control.silence(author(), options.for_s, rules=options.rules, subject=options.store, reason=options.reason)
    return asdict(quiet), [f"silent until {clock(quiet.until_s)}; `alerts end {quiet.id}` ends it"], 0


def plan_maintenance(control: AlertControl, options: argparse.Namespace) -> Result:
    from_s = begins_at_s(options.at) if options.at else time.time()
    quiet = control.maintenance(author(), from_s, from_s + options.for_s, subject=options.store, reason=options.reason)
    words = f"maintenance from {clock(quiet.from_s)} until {clock(quiet.until_s)} ({quiet.id})"
    return asdict(quiet), [words], 0


def begins_at_s(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--at must be a time such as 2027-01-31T22:00, not {text!r}") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def end_quiet(control: AlertControl, options: argparse.Namespace) -> Result:
    control.end_quiet(author(), options.quiet)
    return {"ended": options.quiet}, ["ended: what is open is told again"], 0


def change_rule(control: AlertControl, options: argparse.Namespace) -> Result:
    rule = control.change_rule(author(), options.rule, **dict(map(parsed_value, options.values)))
    return asdict(rule), aligned([rule_row(RuleRow(rule, None))]), 0


def parsed_value(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark:
        raise ConfigurationError(f"write NAME=VALUE, not {text!r}")
    if name == "severity":
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        raise ConfigurationError(f"{name} must be a number, true or false, not {value!r}") from None


def set_summary(control: AlertControl, options: argparse.Namespace) -> Result:
    try:
        at = None if options.when == "off" else datetime.strptime(options.when, "%H:%M")
    except ValueError:
        raise ConfigurationError(f"write HH:MM (UTC) or off, not {options.when!r}") from None
    minute = None if at is None else at.hour * 60 + at.minute
    control.set_summary(author(), minute)
    return {"minute": minute}, [f"daily summary: {options.when}" + " UTC" * (minute is not None)], 0


def send_test(control: AlertControl, options: argparse.Namespace) -> Result:
    results = control.send_test_now(author())
    rows = [(receiver, "sent" if not error else f"failed: {error}") for receiver, error in results.items()]
    return results, aligned(rows), int(any(results.values()))


def clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}Z"
