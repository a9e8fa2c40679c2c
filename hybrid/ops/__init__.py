"""What the panel and the command line may do, with typed results."""
