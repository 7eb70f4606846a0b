"""The user at the other end of a unix socket (unix(7), SO_PEERCRED)."""

import socket
import struct

from regcache.seam.streams import socket_of
from regcache.web.request import Request

_CREDENTIALS = struct.Struct("3i")


def peer_user(request: Request) -> int | None:
    """The user id of the process that connected; None if it is not known."""
    connection = socket_of(getattr(request.channel, "transport", None))
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    try:
        shown = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    _, user, _ = _CREDENTIALS.unpack(shown)
    return int(user)
