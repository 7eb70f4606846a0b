"""Host names that are those of seats: a name of ours with the label of a seat in it."""

from collections.abc import Callable
from typing import Any

from regcache.light_dataclass import dataclass
from regcache.web.hosts import RoutingTable
from regcache.web.request import Dispatch, Request


@dataclass(frozen=True, slots=True)
class SeatHosts:
    """The host names of seats.

    :ivar is_present_label: whether a text is the label of a seat that has not ended.
    :ivar is_any_label: whether it is the label of any seat.
    """

    table: RoutingTable
    is_present_label: Callable[[str], bool]
    is_any_label: Callable[[str], bool]

    def find(self, host: str | None) -> tuple[str, str] | None:
        """The host that a seat's one stands for, and the seat's label; None for all others.

        A label that is unknown, or whose seat has ended, makes a name like any other.
        """
        split = None if host is None or "-" not in host else self.table.split_seat_host(host)
        return split if split is not None and self.is_present_label(split[1]) else None

    def shown(self, host: str) -> str:
        """A host as it may be told: with no more than the beginning of what may be a label."""
        first, dot, rest = host.partition(".")
        name, dash, label = first.rpartition("-")
        if dash and (self.is_any_label(label) or self.table.split_seat_host(host) is not None):
            return f"{name}-{label[:3]}...{dot}{rest}"
        return host

    def before(self, others: Dispatch) -> Dispatch:
        """A dispatcher that has requests to them answered as those to the hosts they stand for.

        What else looks like one is another name from here on, that of no host: none may be told.
        """

        def answer(request: Request) -> Any:
            host = request.hostname
            if host is not None and "-" in host:
                found = self.find(host) or (self.shown(host), "")
                request.hostname, request.seat_label = found
            return others(request)

        return answer
