"""Keeps the records of requests in memory, judges them, and counts them."""
