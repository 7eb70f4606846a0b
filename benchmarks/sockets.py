"""Kernel memory of TCP sockets."""

import re
import resource
import subprocess
from pathlib import Path

_QUEUED = re.compile(r"skmem:\([^)]*?\bw(\d+)")
_PAGES = re.compile(r"^TCP: .* mem (\d+)", re.MULTILINE)


def queued_bytes(port: int) -> int:
    """Kernel memory of what a server on ``port`` has written and its clients have not taken."""
    command = ["ss", "-tnmH", f"sport = :{port}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return parse_queued(text)


def parse_queued(text: str) -> int:
    """The sum of the write queues in the output of ``ss -m``."""
    return sum(int(found) for found in _QUEUED.findall(text))


def tcp_memory_bytes() -> int:
    """Kernel memory of all TCP sockets of this machine, those of the clients too."""
    found = _PAGES.search(Path("/proc/net/sockstat").read_text())
    return int(found[1]) * resource.getpagesize() if found else 0
