"""The two files of a partial content: its bytes, and the sidecar that says which are present.

Only the sidecar counts, not the size of the file: a sparse file, or one that a crash of the
machine has damaged, looks whole. :class:`PartialNames` blocks, and belongs into a pool.
"""

import io
import json
import os
from contextlib import suppress
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.intervals import Intervals
from regcache.light_dataclass import dataclass
from regcache.store.aside import open_regular
from regcache.store.file_operations import remove
from regcache.store.identities import describe, understand
from regcache.store.paths import PartialKey, StorePaths

_VERSION = 1
_MOST_INTERVALS = 4096
_MOST_BYTES = 512 * 1024
_LARGEST_SIZE = 2**53  # where JSON numbers end to be exact
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class _ImplausibleError(ValueError):
    """A sidecar has invalid content."""


@dataclass
class Sidecar:
    """The facts about content that is being fetched.

    :ivar size: of the whole content in bytes; None if it is not known yet.
    :ivar anonymous: whether every byte that is present was given without credentials.
    :ivar present: the intervals that were written; a crash of the machine may lose them.
    :ivar synced: those of them that are on the disk for certain.
    :ivar upstream: the one that gave all of it.
    :ivar repository: of it, for which it was asked last; "" where that is not known.
    """

    size: int | None = None
    _: KW_ONLY
    anonymous: bool = True
    present: Intervals = field(default_factory=Intervals)
    synced: Intervals = field(default_factory=Intervals)
    upstream: UpstreamIdentity | None = None
    repository: str = ""


def read_boot_id() -> str:
    """The kernel's boot id, which changes with each start of the machine; "" without one."""
    try:
        with open(_BOOT_ID, encoding="ascii") as source:
            return source.read(64).strip()
    except OSError:
        return ""


def encode_sidecar(sidecar: Sidecar, digest: Digest, boot_id: str) -> bytes:
    """The content of the file."""
    document = {
        "version": _VERSION,
        "digest": str(digest),
        "boot_id": boot_id,
        "size": sidecar.size,
        "anonymous": sidecar.anonymous,
        "upstream": sidecar.upstream and describe(sidecar.upstream),
        "repository": sidecar.repository,
        "present": list(sidecar.present)[:_MOST_INTERVALS],
        "synced": list(sidecar.synced)[:_MOST_INTERVALS],
    }
    return json.dumps(document).encode()


def read_sidecar(
    path: str,
    digest: Digest,
    *,
    boot_id: str,
    file_size: int,
    upstream: UpstreamIdentity | None = None,
) -> Sidecar | None:
    """Read a sidecar; None if there is none, or it is not valid. Blocks.

    With the same boot id all that was present counts, since the page cache outlives the process.
    With another one, only what was synced counts. Bytes of another upstream do not count: they are
    not verified, and may be wrong, or private.

    :param file_size: of the partial file, in bytes.
    """
    with suppress(OSError, ValueError, RecursionError):
        return _interpret(
            _load(path), digest, boot_id=boot_id, file_size=file_size, upstream=upstream
        )
    return None


def read_source(path: str, digest: Digest) -> Repository | None:
    """For which repository the content beside a sidecar was asked; None if unknown. Blocks."""
    with suppress(OSError, ValueError, RecursionError):
        document = _load(path)
        _require(isinstance(document, dict) and document.get("digest") == str(digest))
        repository = document.get("repository")
        _require(isinstance(repository, str) and repository != "")
        return Repository(understand(document.get("upstream")), repository)
    return None


def read_upstream(path: str) -> str:
    """The name of the upstream that gave the content beside a sidecar; "" if unknown. Blocks."""
    with suppress(OSError, ValueError, RecursionError):
        document = _load(path)
        _require(isinstance(document, dict))
        return understand(document.get("upstream")).name
    return ""


def _load(path: str) -> Any:
    """:raises OSError, ValueError, RecursionError: if it is none, or too large for one."""
    descriptor, status = open_regular(path, os.O_RDONLY)
    with open(descriptor, "rb") as source:
        text = source.read(_MOST_BYTES)
    _require(status.st_size <= _MOST_BYTES)
    return json.loads(text)


def _interpret(
    document: Any,
    digest: Digest,
    *,
    boot_id: str,
    file_size: int,
    upstream: UpstreamIdentity | None,
) -> Sidecar:
    """:raises ValueError: if the document is not what we write."""
    _require(isinstance(document, dict) and document.get("version") == _VERSION)
    _require(document.get("digest") == str(digest))
    given = document.get("upstream")
    _require(_goes_on(upstream, None if given is None else understand(given)))
    size, anonymous = document.get("size"), document.get("anonymous")
    _require(size is None or _is_count(size, _LARGEST_SIZE))
    _require(isinstance(anonymous, bool))
    end = min(file_size, _LARGEST_SIZE if size is None else size)
    synced = _intervals(document.get("synced"), end)
    present = synced.copy()
    if boot_id and document.get("boot_id") == boot_id:
        present = _intervals(document.get("present"), end)
    return Sidecar(size, anonymous=anonymous, present=present, synced=synced, upstream=upstream)


def _goes_on(now: UpstreamIdentity | None, before: UpstreamIdentity | None) -> bool:
    return now == before or (now is not None and before is not None and now.continues(before))


def _intervals(pairs: Any, end: int) -> Intervals:
    """:raises ValueError: if it is no short list of sorted, disjoint intervals before ``end``."""
    _require(isinstance(pairs, list) and len(pairs) <= _MOST_INTERVALS)
    position = -1
    for pair in pairs:
        _require(isinstance(pair, list) and len(pair) == 2)
        _require(all(_is_count(number, end) for number in pair))
        _require(position < pair[0] < pair[1])
        position = pair[1]
    return Intervals((start, stop) for start, stop in pairs)


def _is_count(value: object, most: int) -> bool:
    """Whether it is a whole number (which JSON's true is not) in bounds."""
    return type(value) is int and 0 <= value <= most


def _require(condition: bool) -> None:
    if not condition:
        raise _ImplausibleError("not a sidecar of this file")


_BLOCK = 512  # stat(2): the unit of st_blocks


class PartialNames:
    """The paths of a partial file and its sidecar, and what is done with them."""

    def __init__(self, paths: StorePaths, key: PartialKey, boot_id: str) -> None:
        self.key, self.digest = key, key.digest
        self._paths = paths
        self._boot_id = boot_id
        self._data = paths.partial(key)
        self._sidecar = paths.sidecar(key)
        self._final = paths.blob(key.digest)

    def open(self, upstream: UpstreamIdentity | None = None) -> tuple[io.FileIO, Sidecar, int]:
        """Open the file of an earlier attempt at the same upstream, or an empty one.

        :returns: the file, what its sidecar says, and how many bytes of disk it took before.
        """
        descriptor, status = self._paths.open_growing(self._data, os.O_RDWR)
        raw = io.FileIO(descriptor, "r+")
        try:
            state = read_sidecar(
                self._sidecar,
                self.digest,
                boot_id=self._boot_id,
                file_size=status.st_size,
                upstream=upstream,
            )
            if state is None:
                self.forget()
                state = Sidecar(upstream=upstream)
            # Bytes after the last interval were never recorded, or are not ours.
            os.ftruncate(descriptor, max((end for _, end in state.present), default=0))
        except BaseException:
            raw.close()
            raise
        return raw, state, status.st_blocks * _BLOCK

    def source(self) -> Repository | None:
        """For which repository it was asked last; None if unknown."""
        return read_source(self._sidecar, self.digest)

    def save(self, state: Sidecar, durable: bool) -> None:
        """Write the sidecar."""
        content = encode_sidecar(state, self.digest, self._boot_id)
        self._paths.replace(self._sidecar, content, durable)

    def forget(self) -> None:
        """Remove the sidecar. From then on the bytes do not count."""
        self._paths.aside.clear(self._sidecar)
        remove(self._sidecar)

    def install(self) -> int:
        """Give the file its final name. :returns: the size of what was replaced."""
        os.utime(self._data)
        replaced = self._paths.put_in_place(self._data, self._final)
        with suppress(OSError):  # a sidecar without file is swept later
            self.forget()
        return replaced

    def remove(self) -> int:
        """Remove both files. :returns: how many bytes of disk they took."""
        self.forget()
        self._paths.aside.clear(self._data)
        allocated = self.allocated() or 0
        remove(self._data)
        return allocated

    def trim(self) -> int:
        """Free space that was allocated in advance. :returns: how many bytes of disk are left."""
        try:
            os.truncate(self._data, os.stat(self._data).st_size)
        except FileNotFoundError:
            return 0
        return self.allocated() or 0

    def allocated(self) -> int | None:
        """How many bytes of disk the file takes; None if there is no file."""
        try:
            return os.lstat(self._data).st_blocks * _BLOCK
        except FileNotFoundError:
            return None

    def modified_at(self) -> float | None:
        """When the file was last written (Unix seconds); None if there is no file."""
        try:
            return os.lstat(self._data).st_mtime
        except FileNotFoundError:
            return None
