"""What stands between the daemon and its upstreams: real name servers and an outgoing proxy."""

import re
import socket
import socketserver
import struct
import sys
import threading
from collections import Counter
from pathlib import Path

from twisted.names import dns

from tests.support.processes import Server, Workspace, find_program, free_port, require

_CONNECT = re.compile(r"Request \(file descriptor \d+\): CONNECT (\S+)")
_ZONE = """
zone = [
    SOA({zone!r}, mname="ns.example", rname="root.example", serial=1, refresh="1H", retry="1H",
        expire="1H", minimum="1H"),
    *[A(name, address) for name, address in {addresses!r}],
    *[CNAME(name, target) for name, target in {aliases!r}],
]
"""


class TwistedNameServer:
    """``twistd dns`` with one zone, over UDP and TCP on one port of 127.0.0.1."""

    def __init__(
        self, zone: str, addresses: dict[str, str], aliases: dict[str, str] | None = None
    ) -> None:
        self._workspace = Workspace()
        self.port = free_port()
        text = _ZONE.format(
            zone=zone, addresses=list(addresses.items()), aliases=list((aliases or {}).items())
        )
        file = self._workspace.file("zone.py", text)
        twistd = str(Path(sys.executable).parent / "twistd")
        options = ["-p", str(self.port), "-i", "127.0.0.1", f"--pyzone={file}"]
        self._server = Server(
            [twistd, "-n", "--pidfile=", "dns", *options],
            self._workspace.path / "log",
            environment={"PYTHONUNBUFFERED": "1"},
            cwd=self._workspace.path,
        )
        self._server.wait_ready(lambda: "Starting protocol" in self._server.log())

    @property
    def address(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop it."""
        self._server.kill()
        self._workspace.remove()


class TinyNameServer:
    """A name server of a few lines, that does wrong on demand and counts what it is asked.

    :ivar addresses: of every name; "" for none at all.
    :ivar silent: answer nothing.
    :ivar truncating: over UDP, say that there is no room.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.silent = self.truncating = False
        self.asked: Counter[str] = Counter()
        self._servers: list[socketserver.BaseServer] = []
        owner = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, port = self.request
                if reply := owner.reply(data, "udp"):
                    port.sendto(reply, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                (length,) = struct.unpack("!H", self.rfile.read(2))
                if reply := owner.reply(self.rfile.read(length), "tcp"):
                    self.wfile.write(struct.pack("!H", len(reply)) + reply)

        udp = socketserver.ThreadingUDPServer(("127.0.0.1", free_port()), Datagram)
        self.port = udp.server_address[1]
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Stream)
        self._servers = [udp, tcp]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    def reply(self, query: bytes, transport: str) -> bytes:
        """The answer to a query; empty for none."""
        self.asked[transport] += 1
        if self.silent:
            return b""
        message = dns.Message()
        message.fromStr(query)
        answer = dns.Message(message.id, answer=1)
        answer.queries = message.queries
        answer.trunc = int(self.truncating and transport == "udp")
        [question] = message.queries
        if question.type == dns.A and not answer.trunc:
            answer.answers = [
                dns.RRHeader(question.name.name, dns.A, dns.IN, 60, dns.Record_A(each))
                for each in self.addresses
            ]
        return answer.toStr()

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Tinyproxy:
    """Debian's tinyproxy on a free port of 127.0.0.1.

    :param basic: the account that it demands.
    :param hosts_file: what it knows of names beside the system's name servers.
    """

    def __init__(self, basic: tuple[str, str] | None = None, hosts_file: Path | None = None):
        require("tinyproxy")
        self._workspace = Workspace()
        self.port = free_port()
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60", "LogLevel Connect"]
        lines += ["Allow 127.0.0.1", "MaxClients 100"]
        lines += [f"BasicAuth {basic[0]} {basic[1]}"] if basic else []
        file = self._workspace.file("tinyproxy.conf", "\n".join([*lines, ""]))
        program = find_program("tinyproxy") or "tinyproxy"
        self._server = Server(
            [program, "-d", "-c", str(file)], self._workspace.path / "log", hosts_file=hosts_file
        )
        self._server.wait_ready(self._accepts)

    @property
    def url(self) -> str:
        """Its URL without credentials."""
        return f"http://127.0.0.1:{self.port}"

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connects(self) -> list[str]:
        """What it was asked to connect to, in order."""
        return _CONNECT.findall(self._server.log())

    def close(self) -> None:
        """Stop it."""
        self._server.kill()
        self._workspace.remove()
