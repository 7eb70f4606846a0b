"""Tests of regcache.admin.events."""
