"""What became of requests: kept in memory, and judged."""
