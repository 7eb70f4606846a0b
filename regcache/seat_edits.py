"""The file of seats on the disk: made, and changed one seat at a time."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from regcache.config.seats_file import SeatsError, decoded, parse_seats
from regcache.config.seats_text import Changes, changed_text
from regcache.seats import Seats
from regcache.whole_file import (
    MOST_BYTES,
    FileTooLargeError,
    alone_in,
    fits,
    read_whole,
    replace_whole,
)

_MODE = 0o600
_LESS = "take out seats that have ended, or comments"
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

    def present(self) -> tuple[str, Seats]:
        """The version of the file as it is now, and its seats, whether they are in force or not.

        :raises SeatsError: if it cannot be used. Raises OSError.
        """
        path = self._path()
        content = _read(path)
        return version_of(content), parse_seats(decoded(content, path), path)

    def change(self, name: str, changes: Changes, versions: Sequence[str] = ()) -> str:
        """Change a seat, or make it; the version of the file then.

        :param versions: of which the file has to have one; empty for any.
        :raises OtherSeatsError: if it has another one.
        :raises SeatsError: if the file, or what it would become, cannot be used, or is too large.
            Raises OSError.
        """
        path = os.path.realpath(self._path())
        with alone_in(os.path.dirname(path)):
            make_seats_file(path)
            content = _read(path)
            text = decoded(content, path)
            if versions:
                parse_seats(text, path)  # a file with a fault is told of as that
                if version_of(content) not in versions:
                    raise OtherSeatsError
            changed = changed_text(text, path, name, changes).encode()
            if not fits(changed):
                raise SeatsError([f"{path}:1: would be larger than {MOST_BYTES} bytes: {_LESS}"])
            if changed != content:
                _replace(path, changed)
        return version_of(changed)


def _read(path: str) -> bytes:
    """:raises SeatsError: if it is too large. Raises OSError."""
    with open(path, "rb") as file:
        try:
            return read_whole(file)
        except FileTooLargeError as error:
            raise SeatsError([f"{path}:1: {error}: {_LESS}"]) from None


def _replace(path: str, content: bytes) -> None:
    before = os.stat(path)

    def keep_owner(descriptor: int) -> None:
        with suppress(OSError):  # only root can give a file away
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, _MODE)

    replace_whole(path, content, keep_owner)
