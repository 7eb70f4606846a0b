"""Tests for regcache.seam, one module for each of its modules."""
