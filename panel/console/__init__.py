"""The page Console: a command line to the stores."""
