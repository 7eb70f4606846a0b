"""A link of 100 ms and 1 Gbit/s to clients in a network namespace of their own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import compile_program
from benchmarks.workload import UnavailableError

HERE = "198.18.77.1"
"""The server's end; 198.18.0.0/15 is for benchmarks (RFC 2544)."""

NAMESPACE = "regcache-bench"
RATE = 125e6
"""Bytes per second each way: 1 Gbit/s."""

ONE_WAY = 0.05
"""Seconds."""

_THERE = "198.18.77.2"
_QUEUE = RATE * 2 * ONE_WAY
_SOURCE = Path(__file__).with_name("link.c")


def why_no_link() -> str:
    """What keeps this machine from having such a link; empty if nothing does."""
    if os.geteuid() != 0:
        return "a long link needs root"
    if not Path("/dev/net/tun").exists():
        return "a long link needs /dev/net/tun"
    return "" if shutil.which("ip") else "a long link needs iproute2"


@contextmanager
def long_link(folder: Path) -> Iterator[None]:
    """The link, as long as the context lasts.

    :param folder: for the program that carries the packets.
    :raises UnavailableError: if there can be none.
    """
    if why := why_no_link():
        raise UnavailableError(why)
    program = compile_program(_SOURCE, folder / "link")
    _remove_namespace()
    _ip("netns", "add", NAMESPACE)
    try:
        command = [str(program), "rgb-here", NAMESPACE, "rgb-there"]
        values = [str(each) for each in (RATE, ONE_WAY, _QUEUE)]
        process = subprocess.Popen([*command, *values], stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise UnavailableError("the long link could not be made")
            _raise_ends()
            yield
        finally:
            process.kill()
            process.communicate()
    finally:
        _remove_namespace()


def _raise_ends() -> None:
    inside = ("-n", NAMESPACE)
    for where, address, device in (((), HERE, "rgb-here"), (inside, _THERE, "rgb-there")):
        _ip(*where, "addr", "add", f"{address}/30", "dev", device)
        _ip(*where, "link", "set", device, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _remove_namespace() -> None:
    subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)
