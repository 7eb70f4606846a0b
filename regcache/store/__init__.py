"""Bytes and facts on disk; knows nothing of HTTP."""
