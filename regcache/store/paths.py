"""The paths of all files below the storage directory, and how files are put there.

Names are made of digests alone, so no input from the network can lead out of the directory.
Folders are made with mode 0700, since the content of private repositories is in them.
"""

import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress

from regcache.digests import Digest, InvalidDigestError
from regcache.light_dataclass import dataclass
from regcache.remedies import user_name
from regcache.store.aside import Aside, NotOursError, open_regular
from regcache.store.file_operations import MODE_GROWING, write_all

SIDECAR_SUFFIX = ".json"
TEMPORARY_SUFFIX = ".tmp"

_MODE = 0o700
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
ALGORITHMS = ("sha256", "sha512")
"""Each has a folder under blobs/."""

_PARTIAL_NAME = re.compile(r"(sha256|sha512)-([0-9a-f]+)(?:\.([0-9a-f]{16}))?(\.json)?\Z")


@dataclass(frozen=True, slots=True)
class PartialKey:
    """The key of a partial file: content, and the upstream that gives it.

    Until the content is verified it must not be mixed with another upstream's, nor shown to the
    clients of another one.

    :ivar upstream: sixteen hexadecimal digits that identify the upstream; "" for none.
    """

    digest: Digest
    upstream: str = ""

    def __str__(self) -> str:
        name = f"{_checked(self.digest).algorithm}-{self.digest.hex}"
        return f"{name}.{self.upstream}" if self.upstream else name


class StorageUnusableError(Exception):
    """There is no usable storage directory. The text is one line that says what to do."""

    def __init__(self, directory: str, why: str, remedy: str) -> None:
        super().__init__(
            f"storage.directory: {directory} {why}: name another one, or type: {remedy}"
        )


class StorePaths:
    """The layout of one storage directory.

    :param directory: an absolute path.
    :ivar aside: moves aside what is in the way of our files.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.blobs = os.path.join(directory, "blobs")
        self.partials = os.path.join(directory, "partial")
        self.index = os.path.join(directory, "index.sqlite")
        self.counts = os.path.join(directory, "counts.sqlite")
        self.usage = os.path.join(directory, "usage.sqlite")
        self.lock = os.path.join(directory, "lock")
        self.aside = Aside(directory)

    def prepare(self) -> None:
        """Make missing folders, as far as that is possible. Blocks.

        An existing storage directory keeps its mode.

        :raises StorageUnusableError: if there is no directory that can be read.
        """
        algorithms = [os.path.join(self.blobs, name) for name in ALGORITHMS]
        try:
            os.makedirs(self.directory, mode=_MODE, exist_ok=True)
            for folder in (self.blobs, *algorithms, self.partials):
                self._make(folder)
        except OSError as error:
            # If it can be read, its content is served. That it cannot be written is reported later.
            self._require_readable(error)

    def _require_readable(self, error: OSError) -> None:
        quoted, user = shlex.quote(self.directory), user_name()
        if not os.path.lexists(self.directory):
            why = f"cannot be made: {error.strerror}"
            raise StorageUnusableError(
                self.directory, why, f"mkdir -p {quoted} && chown {user} {quoted}"
            )
        if not os.path.isdir(self.directory):
            raise StorageUnusableError(self.directory, "is no folder", f"mv {quoted} {quoted}.old")
        if not os.access(self.directory, os.R_OK | os.X_OK, effective_ids=True):
            raise StorageUnusableError(
                self.directory, "may not be read", f"chown -R {user} {quoted}"
            )

    def _make(self, folder: str) -> None:
        """Make a folder, and its parents. :raises OSError: if that is not possible."""
        try:
            os.makedirs(folder, mode=_MODE, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            self.aside.clear_folders(os.path.join(folder, "any"))
            os.makedirs(folder, mode=_MODE, exist_ok=True)

    def blob(self, digest: Digest) -> str:
        """The final name of content: blobs/<algorithm>/ab/abcd..."""
        name = _checked(digest).hex
        return os.path.join(self.blobs, digest.algorithm, name[:2], name)

    def partial(self, key: PartialKey) -> str:
        """The name of content that is being fetched: partial/<algorithm>-abcd..."""
        return os.path.join(self.partials, str(key))

    def sidecar(self, key: PartialKey) -> str:
        """The name of the intervals beside it."""
        return self.partial(key) + SIDECAR_SUFFIX

    def temporary(self, digest: Digest) -> str:
        """The name of content that is being written at once."""
        return self.partial(PartialKey(digest)) + TEMPORARY_SUFFIX

    def folders(self, digest: Digest) -> Iterator[str]:
        """The folders to sync so that the final name survives a crash, innermost first."""
        folder = os.path.dirname(self.blob(digest))
        for _ in range(3):
            yield folder
            folder = os.path.dirname(folder)

    def open_growing(self, path: str, flags: int) -> tuple[int, os.stat_result]:
        """Open or make a file in partial/, for writing. Blocks.

        What is in its way is moved aside; a file of another user is replaced.

        :returns: a descriptor, and the status of the file.
        :raises OSError: if it cannot be made.
        """
        flags |= os.O_CREAT
        try:
            return open_regular(path, flags, MODE_GROWING)
        except NotOursError:
            self.aside.clear(path)
        except (FileNotFoundError, NotADirectoryError):
            self._make(os.path.dirname(path))
        except (FileExistsError, PermissionError):
            os.unlink(path)
        return open_regular(path, flags, MODE_GROWING)

    def make_growing(self, path: str) -> int:
        """Make a new file in partial/, as :meth:`open_growing` does. Gives a descriptor."""
        try:
            # Made by this call, it is a file of ours: that needs no look.
            return os.open(path, _NEW, MODE_GROWING)
        except OSError:
            return self.open_growing(path, os.O_WRONLY | os.O_EXCL)[0]

    def put_in_place(self, source: str, target: str) -> int:
        """Rename a complete file to its final name, and make the folder if needed. Blocks.

        :returns: the size of what was replaced, in bytes.
        :raises OSError: if that is not possible.
        """
        replaced = 0
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.lstat(target)
            if stat.S_ISREG(status.st_mode):
                replaced = status.st_size
            else:
                self.aside.clear(target)
        try:
            os.replace(source, target)
        except (FileNotFoundError, NotADirectoryError):
            self._make(os.path.dirname(target))
            os.replace(source, target)
        return replaced

    def replace(self, path: str, content: bytes, durable: bool) -> None:
        """Replace a small file atomically. Blocks.

        :param durable: whether to sync the new bytes before they get the name.
        :raises OSError: if that is not possible.
        """
        temporary = path + TEMPORARY_SUFFIX
        # Never reuse an old one, which may be a link to another file.
        descriptor = self.make_growing(temporary)
        try:
            write_all(descriptor, [content], 0)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.put_in_place(temporary, path)


def partial_key(name: str) -> PartialKey | None:
    """The key of a file name in partial/; None for a name that is not ours."""
    match = _PARTIAL_NAME.match(name)
    if match is None:
        return None
    try:
        return PartialKey(Digest.parse(f"{match[1]}:{match[2]}"), match[3] or "")
    except InvalidDigestError:
        return None


def _checked(digest: Digest) -> Digest:
    """Check a digest once more, since it becomes a file name.

    :raises InvalidDigestError: if it was not made by :meth:`Digest.parse`.
    """
    return Digest.parse(str(digest))
