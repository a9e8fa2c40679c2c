"""Search indexes on the page Insights: reads, address and views."""
