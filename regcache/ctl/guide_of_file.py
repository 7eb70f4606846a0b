"""The guide for a client program where no daemon answers: made of the configuration file alone."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from regcache.client_setup.guide import guide_for
from regcache.client_setup.located import NoSuchHostError, locate_registries
from regcache.client_setup.seat_guide import SeatClient, for_seat, seat_guide
from regcache.client_setup.steps import SetUp
from regcache.client_setup.told import told_guide
from regcache.config.access_settings import AccessSettings
from regcache.config.client_facts import seat_client, served_here
from regcache.config.files import read_bounded
from regcache.config.loading import load
from regcache.config.model import Config
from regcache.config.problems import ConfigError
from regcache.config.seats_file import read_seats
from regcache.light_dataclass import dataclass
from regcache.whole_file import MOST_BYTES


class NoGuideError(Exception):
    """No guide can be made; the text is what to print."""


@dataclass(frozen=True, slots=True)
class GuideWish:
    """What the guide is to be for.

    :ivar host: as clients reach the cache; "" for what is configured.
    :ivar upstreams: the only ones; none for all.
    :ivar seat: whose clients they are; "" for those of no seat.
    """

    host: str = ""
    upstreams: Sequence[str] = ()
    seat: str = ""
    with_login: bool = False


def guide_of_file(file: str, tool: str, wish: GuideWish) -> dict[str, Any]:
    """The guide, as the API has it. Blocks.

    :raises NoGuideError: if there is none.
    """
    try:
        return _guide(load(file, os.environ).config, tool, wish)
    except ConfigError as error:
        raise NoGuideError("\n".join(error.lines)) from None
    except NoSuchHostError as error:
        raise NoGuideError(str(error)) from None


def _guide(config: Config, tool: str, wish: GuideWish) -> dict[str, Any]:
    served = served_here(config, socket.gethostname())
    if not wish.seat:
        located = locate_registries(served, wish.host, wish.upstreams)
        return told_guide(guide_for(tool, SetUp(located, wish.with_login)))
    seat = _seat(config.access, wish.seat)
    located = locate_registries(for_seat(served, seat), wish.host, wish.upstreams)
    return told_guide(seat_guide(tool, seat, located))


def _seat(access: AccessSettings, name: str) -> SeatClient:
    if access.seats is None:
        raise NoGuideError("there are no seats: set access.seats")
    try:
        seats = read_seats(read_bounded(access.seats, MOST_BYTES), access.seats)
    except ValueError as error:
        raise NoGuideError(str(error)) from None
    if name not in seats:
        raise NoGuideError(f"there is no seat {name}")
    if seats[name].has_ended(time.time()):
        raise NoGuideError(f"{name} has ended")
    return seat_client(access, seats[name])
