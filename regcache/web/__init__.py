"""What a client sees on /v2/."""
