"""Content and facts on the disk. Knows nothing of HTTP or registries."""
