"""HTTP/2 connections, with every frame bounded."""
