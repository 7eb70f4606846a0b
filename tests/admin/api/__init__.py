"""Tests for the admin API."""
