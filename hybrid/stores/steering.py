"""How a delayed link is steered, wherever it runs: requests by name, with arguments that JSON can hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.proxy import Faults, LinkState, Proxy

__all__ = ["Steering", "answer_for_link"]


class Steering(ABC):
    """What `Link` and `RemoteLink` have in common."""

    @abstractmethod
    def _ask(self, do: str, **arguments: Any) -> Any:
        """What `answer_for_link` says to it."""

    @property
    def state(self) -> LinkState:
        answer = self._ask("state")
        return LinkState(**(answer | {"faults": Faults(**answer["faults"])}))

    def apply(
        self,
        *,
        round_trip_s: float | None = None,
        refuse: bool | None = None,
        hang: bool | None = None,
        cut: bool = False,
        lose_reply: int | None = None,
        slow: int | None = None,
        for_s: float | None = None,
    ) -> None:
        """Change the faults that are given, at once (see `Faults`). `cut` resets all connections, one time.

        With `for_s` they end by themselves after that many seconds. Without it, `heal` returns to a new `round_trip_s`.
        """
        changes = {"round_trip_s": round_trip_s, "refuse": refuse, "hang": hang, "lose_reply": lose_reply, "slow": slow}
        self._ask("apply", cut=cut, for_s=for_s, **changes)

    def heal(self) -> None:
        """End every fault; connections that survived resume."""
        self._ask("heal")


async def answer_for_link(proxy: Proxy, do: str, arguments: dict[str, Any]) -> Any:
    """What the process of `proxy` answers."""
    if do == "apply":
        return await proxy.apply(**arguments)
    if do == "heal":
        return await proxy.heal()
    if do == "state":
        return asdict(proxy.state)
    raise EmbeddedServerError(f"unknown request {do!r}")
