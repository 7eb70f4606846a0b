"""Tests of regcache.doctor."""
