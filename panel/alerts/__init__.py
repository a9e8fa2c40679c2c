"""Alerts: what the page reads, changes and draws."""
