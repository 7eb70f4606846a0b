"""A small file system of its own, in memory, for as long as a test runs."""

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

from tests.support.processes import require_root, unavailable

_MIB = 1024 * 1024
#: How often a daemon may free something while a disk is filled.
_TRIES = 100


def mount(*options: str) -> None:
    """mount(8), or no test."""
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if done.returncode:
        unavailable(f"no file system can be mounted: {done.stderr}")


def small_disk(case: TestCase, folder: Path, size: int, close: Callable[[], object]) -> Path:
    """Mount a file system until a test has ended.

    :param folder: where.
    :param size: of it (bytes).
    :param close: ends what has files open there.
    """
    require_root("mounting a small file system")
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))

    def unmount() -> None:
        close()
        subprocess.run(["umount", str(folder)], check=True)

    case.addCleanup(unmount)
    return folder


def fill_up(disk: Path) -> None:
    """Leave not a byte, as others on the same disk may do at any time: ``others`` takes it.

    A daemon that runs may free something meanwhile, which is taken as well.
    """
    for _ in range(_TRIES):
        with (disk / "others").open("ab", buffering=0) as file:
            for size in (_MIB, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        if not os.statvfs(disk).f_bavail:
            return
    raise AssertionError(f"{disk} has room left")
