"""The admin API: ``/api/v1/<call>`` (docs/api.md)."""
