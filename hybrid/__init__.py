"""Two independent Redis stores behind one `redis.Redis`."""
