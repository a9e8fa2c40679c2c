"""What an agent answers to monitors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hybrid.agent import Agent
from hybrid.observe.endpoint import Reply, Route, json_reply
from hybrid.observe.health import liveness, readiness
from hybrid.observe.prometheus import metrics_reply

__all__ = ["Probe", "agent_routes", "metrics_route", "probes"]

Probe = Callable[[], tuple[int, dict[str, Any]]]
"""HTTP status and document, at once."""


def probes(agent: Agent) -> dict[str, Probe]:
    """Health and its shorter forms by path. None of them asks a store."""
    return {
        "/api/health": agent.health,
        "/api/health/live": lambda: liveness(agent.observer),
        "/api/health/ready": lambda: readiness(agent.observer),
    }


def agent_routes(agent: Agent) -> dict[str, Route]:
    """The answers by path. None of them waits for a store."""
    return {
        **{path: partial(_document, agent, probe) for path, probe in probes(agent).items()},
        "/metrics": partial(metrics_route, agent),
    }


def metrics_route(agent: Agent) -> Reply:
    """What Prometheus reads."""
    if agent.metrics is None:
        return json_reply(404, {"error": "this agent follows no metrics"})
    return metrics_reply(agent.observer, agent.metrics)


def _document(agent: Agent, probe: Probe) -> Reply:
    agent.inquire()
    return json_reply(*probe())
