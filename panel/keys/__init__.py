"""The key browser: reads, actions and views of the page Keys."""
