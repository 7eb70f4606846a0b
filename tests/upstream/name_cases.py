"""What the tests of name servers have in common: answers, and two servers in memory."""

import struct
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.upstream.dns_exchange import INameServer, NameServer
from regcache.upstream.dns_messages import Question, RecordType, encode_query
from regcache.upstream.server_names import ServerNames
from tests.upstream.network import Line, Network

FIRST, SECOND = ("198.51.100.1", 53), ("198.51.100.2", 53)
QUESTION = Question("registry.test", RecordType.A)
QUERY = encode_query(7, QUESTION)


def record(owner: str, payload: object, ttl: int = 60) -> dns.RRHeader:
    """A record as a server has it."""
    return dns.RRHeader(owner, payload.TYPE, dns.IN, ttl, payload)


def address(owner: str, text: str, ttl: int = 60) -> dns.RRHeader:
    """An A or AAAA record."""
    kind = dns.Record_AAAA if ":" in text else dns.Record_A
    return record(owner, kind(text), ttl)


def alias(owner: str, target: str, ttl: int = 60) -> dns.RRHeader:
    """A CNAME record."""
    return record(owner, dns.Record_CNAME(target), ttl)


def answer(query: bytes, *records: dns.RRHeader, code: int = 0, truncated: bool = False) -> bytes:
    """The answer to a query, in the words of Twisted's own encoder."""
    asked = dns.Message()
    asked.fromStr(query)
    message = dns.Message(asked.id, answer=1, rCode=code, trunc=truncated, recAv=1)
    message.queries, message.answers = asked.queries, list(records)
    return message.toStr()


def asked_for(query: bytes) -> tuple[str, int]:
    """Name and type of a query."""
    message = dns.Message()
    message.fromStr(query)
    [question] = message.queries
    return question.name.name.decode(), question.type


class ServerTestCase(SynchronousTestCase):
    """Two name servers on a network in memory."""

    def setUp(self) -> None:
        self.network = Network()
        self.queries: list[tuple[str, int]] = []
        self.zone: dict[str, list[dns.RRHeader]] = {}
        self.network.name_servers = {FIRST: self.udp, SECOND: self.udp}
        self.names = self.make(FIRST, SECOND)

    def make(self, *servers: tuple[str, int], tcp_only: bool = False) -> ServerNames:
        """Names that these servers are asked for."""
        made = [NameServer(self.network, host, port, tcp_only) for host, port in servers]
        self.assertTrue(verifyObject(INameServer, made[0]))
        return ServerNames(self.network, made)

    def reply(self, query: bytes) -> bytes:
        """The answer of a server that knows the zone."""
        name, kind = asked_for(query)
        self.queries.append((name, kind))
        if name not in self.zone:
            return answer(query, code=3)
        return answer(query, *(r for r in self.zone[name] if r.type in (kind, dns.CNAME)))

    def udp(self, query: bytes) -> list[bytes]:
        """Answer over UDP."""
        return [self.reply(query)]

    def over_tcp(self, reply: Callable[[bytes], bytes]) -> Callable[[Line, bytes], None]:
        """A server that answers over TCP, byte by byte."""

        def handle(line: Line, data: bytes) -> None:
            content = reply(data[2:])
            whole = struct.pack("!H", len(content)) + content
            for start in range(len(whole)):
                line.send(whole[start : start + 1])

        return handle

    def hosts(self, waiting: "Deferred[list[object]]") -> list[str]:
        """The addresses that were found."""
        self.network.settle()
        return [each.host for each in self.successResultOf(waiting)]

    def look(self, name: str) -> list[str]:
        """Look a name up."""
        return self.hosts(self.names.lookup(name, 443))
