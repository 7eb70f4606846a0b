"""The file of seats on the disk: made, and changed one seat at a time."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from regcache.config.seats_file import decoded
from regcache.config.seats_text import Changes, changed_text
from regcache.whole_file import alone_in, replace_whole

#: A file that is larger is none of seats (bytes).
MOST_BYTES = 4 * 1024 * 1024
_MODE = 0o600
_NEW = """\
# Seats: accounts with limits, see docs/access.md. Written by regcachectl and the API, too; what is
# written by hand here stays.
"*": {downloads: 8, rate: null, daily: null, monthly: null}
"""


class OtherSeatsError(Exception):
    """The file is another one than the one that was meant."""


def make_seats_file(path: str) -> None:
    """Make a file without a seat where there is none. Blocks. Raises OSError."""
    if os.path.lexists(path):
        return
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with open(descriptor, "wb") as file:
            file.write(_NEW.encode())


def version_of(content: bytes) -> str:
    """By what a file is known again."""
    return hashlib.sha256(content).hexdigest()[:32]


class SeatEdits:
    """Changes the file at a path. All of it blocks.

    :param path: gives it; another configuration may name another one.
    """

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path

    def version(self) -> str:
        """That of the present file; "" where it is missing."""
        try:
            return version_of(_read(os.path.realpath(self._path())))
        except FileNotFoundError:
            return ""

    def change(self, name: str, changes: Changes, versions: Sequence[str] = ()) -> str:
        """Change a seat, or make it; the version of the file then.

        :param versions: of which the file has to have one; empty for any.
        :raises OtherSeatsError: if it has another one.
        :raises SeatsError: if the file, or what it would become, cannot be used. Raises OSError.
        """
        path = os.path.realpath(self._path())
        with alone_in(os.path.dirname(path)):
            make_seats_file(path)
            content = _read(path)
            if versions and version_of(content) not in versions:
                raise OtherSeatsError
            changed = changed_text(decoded(content, path), path, name, changes).encode()
            if changed != content:
                _replace(path, changed)
        return version_of(changed)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST_BYTES)


def _replace(path: str, content: bytes) -> None:
    before = os.stat(path)

    def keep_owner(descriptor: int) -> None:
        with suppress(OSError):  # only root can give a file away
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, _MODE)

    replace_whole(path, content, keep_owner)
