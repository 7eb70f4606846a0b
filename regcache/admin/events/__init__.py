"""The stream of events of the admin API."""
