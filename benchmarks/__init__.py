"""Measurements on real servers, side by side in one run: `python -m benchmarks client`."""
