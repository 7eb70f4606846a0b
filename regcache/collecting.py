"""When Python looks for garbage: the collector walks over objects while all threads wait."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
