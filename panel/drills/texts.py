"""Marks the library's own texts for translation; a test keeps them equal to the library's."""

from __future__ import annotations

from panel.i18n import N_

__all__ = ["DRILL_TEXTS", "GUARANTEE_TEXTS"]

DRILL_TEXTS = (
    N_("Cloud slow"),
    N_("Answers of the cloud store take twice its timeout. The application must go on at the local store's speed."),
    N_("Cloud cut"),
    N_("Every connection to the cloud store breaks, five times; a new one opens at once. Nobody should notice."),
    N_("Cloud hung"),
    N_("The cloud store keeps its connections open and says nothing more, the outage that stalls most clients."),
    N_("Cloud refusing"),
    N_("The cloud store is gone: its connections are reset, new ones are refused."),
    N_("Local cut"),
    N_("The local store is gone: its connections are reset, new ones are refused. The cloud store takes over."),
    N_("Local hung"),
    N_("The local store keeps its connections open and says nothing more. The cloud store takes over."),
    N_("Local wiped"),
    N_("The local store is killed and comes back empty. It must be refilled, and its emptiness must not spread."),
    N_("Cloud wiped"),
    N_("The cloud store is killed and comes back empty. It must be refilled, and its emptiness must not spread."),
    N_("Lost replies"),
    N_("The local store carries out commands whose replies never arrive, five times. None may count twice."),
    N_("Both down"),
    N_("No store answers. Commands must fail at once, the loader must serve, and all must be well afterwards."),
    N_("Failover and failback"),
    N_("An operator lets the cloud store take the writes, and then the local one again. Nothing fails meanwhile."),
)
GUARANTEE_TEXTS = (
    N_("Reads and writes go on while a store with the last data can be reached"),
    N_("A confirmed write is where its confirmation says"),
    N_("Both stores become identical by themselves"),
    N_("No confirmed write disappears unseen"),
    N_("Both stores apply the writes in the same order"),
    N_("A store that was missed or wiped serves nothing old, and spreads no emptiness"),
    N_("A command of unknown outcome never counts twice"),
    N_("With both stores down, errors come at once, and the loader serves"),
)
