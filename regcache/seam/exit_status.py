"""The exit status of a daemon that had to give up while it ran.

Private: ``os._exit``. It is documented, but ends the process without its usual last acts.

Why: twistd ends with 0 after every orderly stop, also after one that a fault made necessary.
Only another status tells the service manager.

Replaced by: a reactor that takes the exit status when it is stopped.
"""

import atexit
import os
import sys

FAILED = 1


def exit_in_failure() -> None:
    """Have the process end with the exit status 1, whenever it ends.

    Functions that were registered with :mod:`atexit` before are not called then.
    """
    atexit.register(_exit)


def _exit() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(FAILED)
