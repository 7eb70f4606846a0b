"""The seats in force, as guides for clients need them: a part of the composition root."""

from regcache.admin.api.call_problems import InvalidProblem, NotSetProblem, UnknownSeatProblem
from regcache.client_setup.seat_guide import SeatClient
from regcache.config.client_facts import seat_client
from regcache.in_force import CurrentConfiguration


def find_seat_client(current: CurrentConfiguration, now: float, name: str) -> SeatClient:
    """What the clients of a seat can show.

    :param now: Unix seconds.
    :raises Problem: if there is no such seat, or if it has ended.
    """
    settings, access = current.in_force.config.access, current.in_force.access
    if settings.seats is None or access is None:
        raise NotSetProblem("there are no seats: set access.seats", params={"key": "access.seats"})
    seat = access.access.accounts.seats.get(name)
    if seat is None:
        raise UnknownSeatProblem(f"there is no seat {name}")
    if seat.has_ended(now):
        why = f"{name} has ended: regcachectl seat change {name} --reopen, or --until a later day"
        raise InvalidProblem("seat", why)
    return seat_client(settings, seat)
