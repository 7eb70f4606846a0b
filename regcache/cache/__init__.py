"""The decisions: what is fresh, and who waits for whom."""
