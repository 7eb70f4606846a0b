"""Tests of regcache.admin.notifications."""
