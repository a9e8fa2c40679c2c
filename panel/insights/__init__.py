"""What servers say about themselves and what is in them: reads, actions and views of the page Insights."""
