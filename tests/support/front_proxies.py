"""Proxies in front of the daemon, as their users run them: Debian's HAProxy and nginx."""

import socket
from collections.abc import Sequence
from pathlib import Path

from tests.support.processes import Server, Workspace, find_program, require, run

_HAPROXY = """
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
"""
_NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
"""
_HTTP = """
http {{
access_log off;
client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
{text}
}}
"""
_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class FrontProxy:
    """One that runs, and has been asked whether its configuration is right.

    :param command: runs it.
    :param check: looks at its configuration.
    :param ports: those of 127.0.0.1 that it listens on.
    """

    def __init__(
        self,
        command: Sequence[str],
        check: Sequence[str],
        *,
        place: Workspace,
        ports: Sequence[int],
    ) -> None:
        self._place = place
        try:
            self.checked = run(check)
            self._server = Server(command, place.path / "log")
            self._server.wait_ready(lambda: all(map(_is_open, ports)))
        except BaseException:
            place.remove()
            raise

    def close(self) -> None:
        """Stop it."""
        self._server.kill()
        self._place.remove()


def haproxy(text: str, *ports: int) -> FrontProxy:
    """HAProxy with these sections; they are right behind Debian's own, too."""
    require("haproxy")
    place = Workspace()
    file = place.file("regcache.cfg", text)
    defaults = place.file("defaults.cfg", _HAPROXY)
    program = find_program("haproxy") or "haproxy"
    whole = [program, "-f", str(defaults), "-f", str(file)]
    system = Path("/etc/haproxy/haproxy.cfg")
    before = system if system.exists() else defaults
    check = [program, "-c", "-f", str(before), "-f", str(file)]
    return FrontProxy([*whole, "-db"], check, place=place, ports=ports)


def nginx(text: str, *ports: int) -> FrontProxy:
    """nginx with a part of its configuration: a ``stream``, or what goes into ``http``."""
    require("nginx")
    place = Workspace()
    main = _NGINX.format(folder=place.path)
    if "\nstream {" in text:
        whole = f"load_module {_STREAM};\n{main}{text}"
    else:
        whole = main + _HTTP.format(folder=place.path, text=text)
    file = place.file("nginx.conf", whole)
    command = [find_program("nginx") or "nginx", "-c", str(file)]
    return FrontProxy(command, [*command, "-t"], place=place, ports=ports)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
