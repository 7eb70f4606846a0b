"""How many files and connections the process may have open (getrlimit(2), RLIMIT_NOFILE)."""

# Python loads this when the first name is looked up. It could not where no file can be opened, and
# the look-up would never end.
import encodings.idna  # noqa: F401
import errno
import resource

#: What system calls say where the process, or the machine, may open no more.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


def raise_limit() -> int:
    """Take as many as the process may give itself; how many that are.

    The soft limit is 1,024 on most systems, for the sake of programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft  # an unlimited hard limit that the system does not grant
    return hard
