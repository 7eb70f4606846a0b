"""What to type where the daemon cannot start: the end of the line that says why."""

import errno
import os
import pwd
import shlex


def user_name() -> str:
    """Who the process runs as, for a command line."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def for_file(path: str, error: OSError) -> str:
    """What to type where a file cannot be read."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"type: chown {user_name()} {shlex.quote(path)}"
    missing = error.errno == errno.ENOENT
    return f"look with: ls -l {shlex.quote(os.path.dirname(path) or '.' if missing else path)}"


def for_address(number: int | None, port: int | str) -> str:
    """What to type where an address cannot be listened on; "" if that is not known.

    :param number: the errno.
    :param port: of TCP, or the path of a socket of unix.
    """
    if isinstance(port, str):
        folder = shlex.quote(os.path.dirname(port))
        return f"type: mkdir -p {folder}" if number == errno.ENOENT else ""
    remedies = {
        errno.EADDRINUSE: f"see who listens there with: ss -ltnp sport = :{port}",
        errno.EACCES: f"type: sysctl -w net.ipv4.ip_unprivileged_port_start={port}",
        errno.EADDRNOTAVAIL: "see this machine's addresses with: ip address",
    }
    return remedies.get(number or 0, "")
