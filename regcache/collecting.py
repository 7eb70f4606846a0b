"""When Python looks for garbage: the collector walks over objects while all threads wait."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: How many objects may come, over those that go, before the young ones are looked at. What waits
#: in cycles until then is bounded by it: a hundred lost connections, or some ten MiB.
MOST_YOUNG = 5_000


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect nothing while much is made that stays: modules are no garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def spare_what_is_there() -> None:
    """Never look again at what exists now.

    A hundred thousand objects are loaded code; to walk over them takes tens of milliseconds
    each time. What of them becomes garbage in cycles stays, so this is for the start alone.
    """
    gc.freeze()


def collect_seldom() -> None:
    """Look at young objects less often than a program that makes few of them.

    A fill of 4 KiB makes a thousand objects, nearly all of which go by themselves. With the usual
    threshold of 700 the collector takes a twentieth of the reactor's time.
    """
    gc.set_threshold(MOST_YOUNG, *gc.get_threshold()[1:])
