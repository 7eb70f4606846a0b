"""Host names that are those of seats: a name of ours with the label of a seat in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from regcache.web.hosts import RoutingTable
from regcache.web.request import Dispatch, Request


@dataclass(frozen=True, slots=True)
class SeatHosts:
    """The host names of seats.

    :ivar is_label: whether a text is the label of a seat that has not ended.
    """

    table: RoutingTable
    is_label: Callable[[str], bool]

    def find(self, host: str | None) -> tuple[str, str] | None:
        """The host that a seat's one stands for, and the seat's label; None for all others.

        A label that is unknown, or whose seat has ended, makes a name like any other.
        """
        split = None if host is None or "-" not in host else self.table.split_seat_host(host)
        return split if split is not None and self.is_label(split[1]) else None

    def before(self, others: Dispatch) -> Dispatch:
        """A dispatcher that has requests to them answered as those to the hosts they stand for."""

        def answer(request: Request) -> Any:
            host = request.hostname
            if host is not None and "-" in host:
                request.facts.host = self.table.without_label(host)
                request.hostname, request.seat_label = self.find(host) or (host, "")
            return others(request)

        return answer
