"""The HTTP side: connections, requests, routing, and the distribution API under /v2/."""
