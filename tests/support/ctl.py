"""regcachectl in a process of its own."""

import os
import subprocess
import sys

from tests.support.processes import CHECKOUT


def run_ctl(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of it, without a terminal.

    :param environment: further variables.
    """
    return subprocess.run(
        [sys.executable, "-m", "regcache.ctl", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
    )
