"""Everything about one remote registry. Knows nothing of the store."""
