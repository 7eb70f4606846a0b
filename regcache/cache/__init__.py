"""The decisions: what is fresh, what is fetched, and what may be shown."""
