"""Tests of regcache.admin.requests."""
