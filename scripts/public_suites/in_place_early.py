"""pytest plugin: as `in_place`, for suites whose conftest imports what they test."""

from __future__ import annotations

from scripts.public_suites.in_place import take_the_place

pytest_plugins = ["scripts.public_suites.in_place"]

take_the_place()
