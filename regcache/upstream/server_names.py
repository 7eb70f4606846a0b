"""Addresses of names from configured name servers, kept until they expire."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.bounded import BoundedTable
from regcache.light_dataclass import dataclass
from regcache.single_flight import Flights
from regcache.upstream.addresses import is_address, is_local_name
from regcache.upstream.deadlines import within
from regcache.upstream.dns_exchange import INameServer, NameServerError
from regcache.upstream.dns_messages import Code, Question, RecordType, Reply
from regcache.upstream.resolver import INames, SocketAddress

MOST_NAMES = 1000
SHORTEST_TTL = 5.0
LONGEST_TTL = 300.0
#: How many look-ups go on although nothing waits for them any more: their answers are kept.
MOST_LEFT = 100
#: The time for one server, in the first and in the second round over all of them (seconds).
ROUNDS = (1.0, 2.0)
LONGEST_LOOKUP = 6.0
#: The same if there are expired addresses that can be used (RFC 8767, 5).
LONGEST_LOOKUP_IF_KEPT = 1.8
#: How long one kind of address waits for the other (RFC 8305, 3, recommends less).
RESOLUTION_DELAY = 0.3
_MOST_QUERIES = 4
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class _Found:
    """The addresses of a name, and for how many seconds they are valid."""

    addresses: tuple[str, ...]
    ttl: float


@implementer(INames)
class ServerNames:
    """Looks names up at configured name servers. Address literals and localhost need none.

    Servers are asked in order; the next one if one does not answer within a second. While no server
    answers, the last known addresses of a name are used.

    :param servers: at least one.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, servers: Sequence[INameServer]) -> None:
        self._clock = clock
        self._servers = servers
        self._kept: BoundedTable[str, tuple[tuple[str, ...], float]] = BoundedTable(MOST_NAMES)
        self._lookups: Flights[tuple[str, ...]] = Flights(clock, MOST_LEFT)

    @property
    def kept(self) -> int:
        """How many names are kept."""
        return len(self._kept)

    def lookup(self, host: str, port: int) -> "Deferred[list[SocketAddress]]":
        """Ask for A and AAAA records at the same time. If one fails the other is used."""
        found = self._addresses(host.lower().removesuffix("."))
        return found.addCallback(lambda texts: [_socket_address(text, port) for text in texts])

    def _addresses(self, name: str) -> "Deferred[tuple[str, ...]]":
        if is_address(name):
            return succeed((name,))
        if is_local_name(name):
            return succeed(_LOOPBACK)
        kept, until = self._kept.get(name) or ((), 0.0)
        if until > self._clock.seconds():
            return succeed(kept)
        return self._lookups.join(name, lambda: self._ask(name, kept))

    async def _ask(self, name: str, kept: tuple[str, ...]) -> tuple[str, ...]:
        """Look up a name. If that fails, use the addresses that were known."""

        def unexpected(failure: Failure) -> None:
            if failure.check(CancelledError):
                failure.raiseException()
            self._log.failure("looking {name} up", failure, name=name)

        seconds = LONGEST_LOOKUP_IF_KEPT if kept else LONGEST_LOOKUP
        asking = Deferred.fromCoroutine(self._both(name, seconds))
        found = await asking.addErrback(unexpected)
        if found is None:
            return kept
        life = max(SHORTEST_TTL, min(found.ttl, LONGEST_TTL))
        self._kept.put(name, (found.addresses, self._clock.seconds() + life))
        return found.addresses

    async def _both(self, name: str, seconds: float) -> _Found | None:
        """Both kinds of addresses; None if no server answered."""
        replies: dict[RecordType, _Found] = {}
        queries = [
            self._begin(name, kind, seconds, replies) for kind in (RecordType.AAAA, RecordType.A)
        ]
        await DeferredList(queries, fireOnOneCallback=True)
        if any(found.addresses for found in replies.values()):
            seconds = RESOLUTION_DELAY
        for query in queries:
            await self._patiently(query, seconds)
        if not replies:
            return None
        each = (
            replies[kind].addresses for kind in (RecordType.AAAA, RecordType.A) if kind in replies
        )
        mixed = tuple(a for a in chain.from_iterable(zip_longest(*each)) if a is not None)
        if not mixed and len(replies) == 1:
            return None
        ttls = [found.ttl for found in replies.values() if found.addresses]
        return _Found(mixed, min(ttls, default=SHORTEST_TTL))

    def _begin(
        self, name: str, kind: RecordType, seconds: float, replies: dict[RecordType, _Found]
    ) -> "Deferred[None]":
        asking = Deferred.fromCoroutine(self._followed(name, kind))
        bounded = within(self._clock, seconds, asking, late=NameServerError, discard=lambda _: None)

        def failed(failure: Failure) -> None:
            failure.trap(NameServerError, CancelledError)

        return bounded.addCallbacks(lambda found: replies.__setitem__(kind, found), failed)

    async def _patiently(self, query: "Deferred[None]", seconds: float) -> None:
        try:
            await within(self._clock, seconds, query, late=NameServerError, discard=lambda _: None)
        except NameServerError:
            return

    async def _followed(self, name: str, kind: RecordType) -> _Found:
        """Addresses at the end of aliases; servers may leave out those of an alias's target."""
        ttl = LONGEST_TTL
        for _ in range(_MOST_QUERIES):
            reply = await self._asked(Question(name, kind))
            ttl = min(ttl, reply.ttl)
            if reply.addresses or not reply.alias or reply.code != Code.NO_ERROR:
                return _Found(reply.addresses, ttl)
            name = reply.alias
        raise NameServerError("its aliases have no end")

    async def _asked(self, question: Question) -> Reply:
        for seconds in ROUNDS:
            for server in self._servers:
                try:
                    reply: Reply = await server.ask(question, seconds)
                except NameServerError:
                    continue
                if reply.code in (Code.NO_ERROR, Code.NAME_ERROR):
                    return reply
        raise NameServerError("no name server answers")


def _socket_address(host: str, port: int) -> SocketAddress:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
