"""The project's own code, under a clock and a scheduler that a seed decides: see `docs/simulation.md`."""
