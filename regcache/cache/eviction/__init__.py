"""Eviction: makes room for new content, and removes content that is no longer used."""
