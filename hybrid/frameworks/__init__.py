"""Ways in for frameworks that open their Redis client from settings. See docs/frameworks.md."""
