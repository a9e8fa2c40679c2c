"""What an agent answers to monitors."""

from __future__ import annotations

from hybrid.agent import Agent
from hybrid.observe.endpoint import Reply, Route, json_reply
from hybrid.observe.health import liveness, readiness
from hybrid.observe.prometheus import metrics_reply

__all__ = ["agent_routes"]


def agent_routes(agent: Agent) -> dict[str, Route]:
    """The answers by path. None of them asks a store."""
    return {
        "/api/health": lambda: json_reply(*agent.health()),
        "/api/health/live": lambda: json_reply(*liveness(agent.observer)),
        "/api/health/ready": lambda: json_reply(*readiness(agent.observer)),
        "/metrics": lambda: _metrics(agent),
    }


def _metrics(agent: Agent) -> Reply:
    if agent.metrics is None:
        return json_reply(404, {"error": "this agent follows no metrics"})
    return metrics_reply(agent.observer, agent.metrics)
