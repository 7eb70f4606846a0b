"""One remote registry seen from here; knows nothing of the store."""
