"""Tests of regcache.client_setup."""
