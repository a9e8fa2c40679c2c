"""What all processes measured, as charts: reads, charts and views of the page Metrics."""
