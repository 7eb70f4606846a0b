"""Where everything lies below the storage directory.

Names are made of digests alone, so nothing from the network can lead out of it. Folders are
made with mode 0700: what a private repository gave is for the daemon's user only.
"""

import os
import re
from collections.abc import Iterator

from regcache.digests import Digest, InvalidDigestError

SIDECAR_SUFFIX = ".json"
TEMPORARY_SUFFIX = ".tmp"

_MODE = 0o700
_ALGORITHMS = ("sha256", "sha512")
_PARTIAL_NAME = re.compile(r"(sha256|sha512)-([0-9a-f]+)(\.json)?\Z")


class StorePaths:
    """The layout of one storage directory.

    :param directory: an absolute path.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.blobs = os.path.join(directory, "blobs")
        self.partials = os.path.join(directory, "partial")
        self.index = os.path.join(directory, "index.sqlite")
        self.lock = os.path.join(directory, "lock")

    def prepare(self) -> None:
        """Make what is missing of the folders. Blocks.

        An existing storage directory keeps its mode.

        :raises OSError: if that is not allowed, or something else has such a name.
        """
        algorithms = [os.path.join(self.blobs, name) for name in _ALGORITHMS]
        for folder in (self.directory, self.blobs, *algorithms, self.partials):
            os.makedirs(folder, mode=_MODE, exist_ok=True)

    def blob(self, digest: Digest) -> str:
        """The final name of content: blobs/<algorithm>/ab/abcd..."""
        name = _checked(digest).hex
        return os.path.join(self.blobs, digest.algorithm, name[:2], name)

    def partial(self, digest: Digest) -> str:
        """The name of content that is being fetched: partial/<algorithm>-abcd..."""
        name = f"{_checked(digest).algorithm}-{digest.hex}"
        return os.path.join(self.partials, name)

    def sidecar(self, digest: Digest) -> str:
        """The name of the intervals beside it."""
        return self.partial(digest) + SIDECAR_SUFFIX

    def folders(self, digest: Digest) -> Iterator[str]:
        """The folders that must be synced for the final name to last, innermost first."""
        folder = os.path.dirname(self.blob(digest))
        for _ in range(3):
            yield folder
            folder = os.path.dirname(folder)


def partial_digest(name: str) -> Digest | None:
    """The digest that a file name in partial/ is about; None for a name that is not ours."""
    match = _PARTIAL_NAME.match(name)
    if match is None:
        return None
    try:
        return Digest.parse(f"{match[1]}:{match[2]}")
    except InvalidDigestError:
        return None


def _checked(digest: Digest) -> Digest:
    """The digest, after a second look at it: it becomes a file name.

    :raises InvalidDigestError: if it was not made by :meth:`Digest.parse`.
    """
    return Digest.parse(str(digest))
