"""A site whose clients speak HTTP/1.1."""

from regcache.web.http1.channel import Channel
from regcache.web.site import Site


class Http1Site(Site):
    """Speaks HTTP/1.1."""

    protocol = Channel  # type: ignore[assignment]
