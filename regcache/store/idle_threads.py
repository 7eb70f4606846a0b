"""Threads with idle priority, for the processor and for the disk.

On Linux a thread has a scheduling policy and an I/O priority of its own. With SCHED_IDLE it only
runs if no other thread needs the processor (sched(7)). With the idle class of ioprio_set(2) it only
reads if no other thread does, if the disk scheduler supports that. If the system refuses, the
work is done with normal priority.
"""

import ctypes
import os
import platform
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.interfaces import IWorkPool

#: The number of ioprio_set in the table of system calls; the C library has no function for it.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314, "ppc64le": 273}
_WHO_PROCESS, _CLASS_IDLE, _CLASS_SHIFT = 1, 3, 13

_state = threading.local()


def become_idle() -> None:
    """Give the calling thread the lowest priority, as far as the system allows it."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE << _CLASS_SHIFT)


def _idly(function: Callable[..., Any], *args: Any) -> Any:
    if not getattr(_state, "idle", False):
        _state.idle = True
        become_idle()
    return function(*args)


@implementer(IWorkPool)
class IdlePool:
    """A pool whose threads have idle priority.

    :param pool: its threads do nothing else.
    """

    def __init__(self, pool: IWorkPool) -> None:
        self._pool = pool

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call the function in an idle thread."""
        running: Deferred[Any] = self._pool.run(_idly, function, *args)
        return running
