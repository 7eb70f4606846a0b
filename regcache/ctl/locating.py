"""Where the daemon is: its unix socket, or a URL."""

import os
from collections.abc import Mapping, Sequence

from regcache.config.document import MAXIMUM_FILE, Node, parse_document
from regcache.config.problems import Problems
from regcache.ctl.usual_files import FILES
from regcache.light_dataclass import dataclass

VARIABLE = "REGCACHE_SOCKET"
USUAL_SOCKET = "/run/regcache/admin.sock"


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """Where to ask.

    :ivar socket: the path of the unix socket; "" where a URL is asked.
    :ivar url: without a slash at its end.
    """

    socket: str = ""
    url: str = ""

    def __str__(self) -> str:
        return self.socket or self.url


class NoAddressError(Exception):
    """What was named leads to no daemon; the text is one line."""


def locate(
    socket: str | None,
    url: str | None,
    file: str | None,
    *,
    environ: Mapping[str, str] = os.environ,
    files: Sequence[str] = FILES,
) -> DaemonAddress:
    """The first that is named: a socket, a URL, the environment, the configuration, the usual.

    :param socket: of ``--socket``.
    :param url: of ``--url``; it goes before the environment and the files of this machine.
    :param file: of ``-c``.
    :raises NoAddressError: if a file was named that cannot be read, or what is no URL.
    """
    if socket:
        return DaemonAddress(socket)
    if url:
        if not url.startswith(("http://", "https://")):
            raise NoAddressError(f"--url: {url}: a URL begins with http:// or https://")
        return DaemonAddress(url=url.rstrip("/"))
    if environ.get(VARIABLE):
        return DaemonAddress(environ[VARIABLE])
    if file is not None:
        try:
            return DaemonAddress(configured_socket(file) or USUAL_SOCKET)
        except OSError as error:
            raise NoAddressError(f"{file}: cannot be read: {error.strerror}") from None
    return DaemonAddress(_of_usual_files(files) or USUAL_SOCKET)


def _of_usual_files(files: Sequence[str]) -> str | None:
    for file in files:
        try:
            return configured_socket(file)
        except OSError:
            continue  # it is not there, or not for everybody to read
    return None


def configured_socket(file: str) -> str | None:
    """The ``admin.socket`` of a configuration file, even if other keys of it are wrong.

    :raises OSError: if it cannot be read.
    """
    with open(file, "rb") as stream:
        text = stream.read(MAXIMUM_FILE).decode("utf-8-sig", "replace")
    socket = _child(_child(parse_document(text, Problems(file)), "admin"), "socket")
    if socket is None or socket.kind != "text" or not socket.value:
        return None
    return os.path.join(os.path.dirname(os.path.abspath(file)), str(socket.value))


def _child(node: Node | None, name: str) -> Node | None:
    if node is None or node.kind != "mapping":
        return None
    found: Node | None = node.value.get(name)
    return found
