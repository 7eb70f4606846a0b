"""HTTP/2 connections. What a client may send, and what that may cost, is bounded for each frame."""
