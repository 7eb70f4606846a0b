"""The files of one digest in partial/. Everything here blocks, and belongs into a pool."""

import io
import os
from contextlib import suppress

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.store.files import remove
from regcache.store.paths import StorePaths
from regcache.store.sidecar import Sidecar, encode_sidecar, read_sidecar

_BLOCK = 512  # stat(2): the unit of st_blocks


class PartialNames:
    """Where the bytes of a digest, and what is known of them, lie while it is fetched."""

    def __init__(self, paths: StorePaths, digest: Digest, boot_id: str) -> None:
        self.digest = digest
        self._paths = paths
        self._boot_id = boot_id
        self._data = paths.partial(digest)
        self._sidecar = paths.sidecar(digest)
        self._final = paths.blob(digest)

    def open(self, upstream: UpstreamIdentity | None = None) -> tuple[io.FileIO, Sidecar, int]:
        """Open what an earlier attempt at the same upstream left, or an empty file.

        :returns: the file, what it holds, and the bytes of disk that it took before.
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
            # What lies behind the last interval was never noted, or is not ours.
            os.ftruncate(descriptor, max((end for _, end in state.present), default=0))
        except BaseException:
            raw.close()
            raise
        return raw, state, status.st_blocks * _BLOCK

    def save(self, state: Sidecar, durable: bool) -> None:
        """Write down what is known."""
        content = encode_sidecar(state, self.digest, self._boot_id)
        self._paths.replace(self._sidecar, content, durable)

    def forget(self) -> None:
        """Remove what is known; the bytes count for nothing from then on."""
        self._paths.aside.clear(self._sidecar)
        remove(self._sidecar)

    def install(self) -> int:
        """Give the file its final name. :returns: the size of what was replaced."""
        os.utime(self._data)
        replaced = self._paths.put_in_place(self._data, self._final)
        with suppress(OSError):  # it describes nothing any more, and is swept some day
            self.forget()
        return replaced

    def remove(self) -> int:
        """Remove both. :returns: the bytes of disk that they took."""
        self.forget()
        self._paths.aside.clear(self._data)
        allocated = self.allocated() or 0
        remove(self._data)
        return allocated

    def trim(self) -> int:
        """Give back space that was allocated in advance. :returns: the bytes of disk left."""
        try:
            os.truncate(self._data, os.stat(self._data).st_size)
        except FileNotFoundError:
            return 0
        return self.allocated() or 0

    def allocated(self) -> int | None:
        """The bytes of disk that the file takes; None where there is no file."""
        try:
            return os.lstat(self._data).st_blocks * _BLOCK
        except FileNotFoundError:
            return None

    def modified_at(self) -> float | None:
        """When the file was last written (Unix seconds); None where there is no file."""
        try:
            return os.lstat(self._data).st_mtime
        except FileNotFoundError:
            return None
