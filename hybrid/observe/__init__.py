"""What running processes show of themselves: health document, latency, samples."""
