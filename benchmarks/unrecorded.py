"""Runs twistd with a daemon that keeps no requests for the API, to find out what that costs.

Arguments are twistd's.
"""

from twisted.scripts.twistd import run

from regcache.admin.requests.counting import RequestCounting
from regcache.admin.requests.ring import RequestRing
from regcache.admin.requests.usage_counting import UsageCounting
from regcache.web.records import RequestRecord


def _ignore(_recorder: object, _record: RequestRecord) -> None:
    """Keep nothing."""


def main() -> None:
    """Take away what recorders do, and run."""
    for kind in (RequestRing, RequestCounting, UsageCounting):
        kind.__call__ = _ignore  # type: ignore[method-assign]
    run()


if __name__ == "__main__":
    main()
