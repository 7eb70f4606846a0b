"""Certificates that are being renewed: the chain is written, and the key a moment later."""

import os
from collections.abc import Iterable

#: Seconds after a change in which files that do not fit each other are no error yet.
PATIENCE = 60.0


def changed_lately(paths: Iterable[str], now: float) -> bool:
    """Whether one of some files was changed a moment ago, so that another may be about to be.

    Of a file that is missing its folder tells. Blocks.

    :param now: Unix seconds.
    """
    return any(now - _changed(path) < PATIENCE for path in paths)


def _changed(path: str) -> float:
    """When it was changed last; 0 where nothing tells."""
    for place in (path, os.path.dirname(path)):
        try:
            status = os.stat(place)
        except OSError:
            continue
        return max(status.st_mtime, status.st_ctime)
    return 0.0
