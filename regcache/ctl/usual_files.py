"""Where the configuration file usually is, for commands that go on without a daemon."""

import argparse
import os

#: Where packages put the configuration file.
FILES = ("/etc/regcache.yml", "/etc/regcache/regcache.yml")


def configuration_without_daemon(options: argparse.Namespace) -> str | None:
    """The file that tells what can be told without a daemon; None where another one was meant.

    :param options: of a command that asks the daemon.
    """
    if options.file:
        return str(options.file)
    if options.url or options.socket:
        return None
    return next((path for path in FILES if os.access(path, os.R_OK)), None)
