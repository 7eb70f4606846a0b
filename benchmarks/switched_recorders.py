"""Runs twistd with a daemon that keeps requests for the API or not, as a signal switches it.

Arguments are twistd's. So what keeping costs is seen in one process: two daemons that are alike
differ by more, as their memory lies elsewhere.
"""

import signal
from collections.abc import Callable
from typing import Any

from twisted.scripts.twistd import run

from regcache.admin.requests.counting import RequestCounting
from regcache.admin.requests.ring import RequestRing
from regcache.admin.requests.usage_counting import UsageCounting
from regcache.web.records import RequestRecord

SWITCH = signal.SIGRTMIN
"""Keeps no request any more, or each again. The daemon minds no such signal itself."""


class _Switch:
    """Whether requests are kept."""

    def __init__(self) -> None:
        self.is_on = True

    def turn(self, *_: object) -> None:
        """To the other state."""
        self.is_on = not self.is_on

    def before(self, keep: Callable[[Any, RequestRecord], None]) -> Callable[..., None]:
        """A recorder's method that keeps while it is on."""

        def call(recorder: Any, record: RequestRecord) -> None:
            if self.is_on:
                keep(recorder, record)

        return call


def main() -> None:
    """Put the switch before what recorders do, and run."""
    switch = _Switch()
    for kind in (RequestRing, RequestCounting, UsageCounting):
        kind.__call__ = switch.before(kind.__call__)  # type: ignore[method-assign]
    signal.signal(SWITCH, switch.turn)
    run()


if __name__ == "__main__":
    main()
