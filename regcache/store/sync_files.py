"""What a thread does to bring new content to the disk. Everything here blocks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from regcache.digests import Digest
from regcache.store.aside import NotOursError, open_regular
from regcache.store.file_system import FileSystem
from regcache.store.files import mark_settled, remove_same, settle, sync_folder
from regcache.store.paths import StorePaths

OPENED_AT_ONCE = 64
"""Files that are open at a time."""

TOGETHER = 8
"""From so many files on the whole file system is synced once, and not each by itself."""


@dataclass
class Outcome:
    """What became of a batch.

    :ivar lost: content that the disk refused to take, with its size in bytes; removed.
    :ivar untried: content that could not be opened, e.g. for want of descriptors.
    :ivar faults: what to log.
    """

    lost: list[tuple[Digest, int]] = field(default_factory=list)
    untried: list[Digest] = field(default_factory=list)
    faults: list[OSError] = field(default_factory=list)


def sync_contents(paths: StorePaths, system: FileSystem, batch: Sequence[Digest]) -> Outcome:
    """Sync files and the names that they have, then mark them."""
    outcome = Outcome()
    for start in range(0, len(batch), OPENED_AT_ONCE):
        _sync_some(paths, system, batch[start : start + OPENED_AT_ONCE], outcome)
    return outcome


def _sync_some(
    paths: StorePaths, system: FileSystem, batch: Sequence[Digest], outcome: Outcome
) -> None:
    # A descriptor means the same file all the while, whatever befalls its name.
    opened: dict[Digest, int] = {}
    try:
        for digest in batch:
            _open(paths.blob(digest), digest, opened, outcome)
        if len(opened) < TOGETHER or not _sync_together(system, outcome):
            _sync_each(paths, opened, outcome)
        else:
            for descriptor in opened.values():
                mark_settled(descriptor)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _open(path: str, digest: Digest, opened: dict[Digest, int], outcome: Outcome) -> None:
    if outcome.untried:  # there are no descriptors left, or something as general as that
        outcome.untried.append(digest)
        return
    try:
        opened[digest], _ = open_regular(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, NotOursError):  # it was removed since
        return
    except OSError as fault:
        outcome.untried.append(digest)
        outcome.faults.append(fault)


def _sync_together(system: FileSystem, outcome: Outcome) -> bool:
    """Whether everything is on the disk now; if not, each file tells for itself."""
    try:
        return system.sync()
    except OSError as fault:
        outcome.faults.append(fault)
        return False


def _sync_each(paths: StorePaths, opened: dict[Digest, int], outcome: Outcome) -> None:
    folders: set[str] = set()
    for digest, descriptor in opened.items():
        try:
            settle(descriptor)
        except OSError as fault:
            _remove(paths.blob(digest), digest, descriptor, outcome)
            outcome.faults.append(fault)
        else:
            folders.update(paths.folders(digest))
    for folder in sorted(folders, key=len, reverse=True):
        try:
            sync_folder(folder)
        except OSError as fault:  # at worst the name is lost, which is no wrong byte
            outcome.faults.append(fault)


def _remove(path: str, digest: Digest, descriptor: int, outcome: Outcome) -> None:
    """Remove a file, unless another one has its name by now."""
    size = os.fstat(descriptor).st_size
    if remove_same(path, descriptor):
        outcome.lost.append((digest, size))
