"""The tests. How long an example takes says how busy the machine is, and fails none of them."""

from hypothesis import HealthCheck, settings

settings.register_profile("regcache", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("regcache")
