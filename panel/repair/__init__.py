"""Finding and repairing what differs: reads, actions and views of the pages Diff and Sync."""
