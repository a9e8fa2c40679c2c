"""One store: its connections, its capabilities, the embedded servers and the delayed link."""
