"""What expires, in one table: sessions, links, and the addresses that are seats."""

import os
from typing import Any

from regcache.access import knocks as knocking
from regcache.access import sessions
from regcache.access.entries import Entries
from regcache.interfaces import IWorkPool
from regcache.light_dataclass import dataclass
from regcache.saved_knocks import FILE_NAME, SavedKnocks


@dataclass(frozen=True, slots=True)
class ShortLived:
    """The table, and who uses it.

    :ivar entries: the table.
    :ivar knocks: the addresses that are seats.
    :ivar saved_knocks: keeps these over restarts.
    """

    entries: Entries
    knocks: knocking.Knocks
    saved_knocks: SavedKnocks


def build_short_lived(directory: str, pool: IWorkPool, reactor: Any) -> ShortLived:
    """Make the table, and take what was saved. Blocks.

    :param directory: of the storage.
    """
    entries = Entries(reactor, {**sessions.LIMITS, **knocking.LIMITS})
    knocks = knocking.Knocks(entries, reactor)
    saved = SavedKnocks(os.path.join(directory, FILE_NAME), knocks, pool, reactor)
    saved.load()
    return ShortLived(entries, knocks, saved)
