"""The exit status of a daemon that had to give up while it ran.

Private: ``os._exit``, which is documented, but which nobody shall call by the way.

Why: twistd ends with 0 after every stop in order, whatever brought it about. Only another
status tells the service manager.

Replaced by: a reactor that takes the exit status when it is stopped.
"""

import atexit
import os
import sys

FAILED = 1


def exit_in_failure() -> None:
    """Have the process end with the exit status 1, whenever it ends.

    What was registered with :mod:`atexit` before is not called then.
    """
    atexit.register(_exit)


def _exit() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(FAILED)
