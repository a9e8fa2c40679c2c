"""The replication log and those who write, ship and copy: I/O that asks `hybrid.core` what to do."""
