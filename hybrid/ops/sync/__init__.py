"""Make two stores equal, without ever reordering with live writes: see `run_sync`, `undo_sync`, `AntiEntropy`."""
