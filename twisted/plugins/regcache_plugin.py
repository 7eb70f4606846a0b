"""Makes ``twistd regcache`` known."""

from twisted.application.service import ServiceMaker

regcache = ServiceMaker(
    "regcache", "regcache.tap", "A caching proxy for container registries.", "regcache"
)
