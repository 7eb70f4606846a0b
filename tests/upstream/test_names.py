"""Name servers: exchanges, and what is made of them."""

from twisted.internet.defer import CancelledError
from twisted.names import dns
from zope.interface.verify import verifyObject

from regcache.upstream.dns_messages import Question, RecordType, encode_query
from regcache.upstream.resolver import INames
from regcache.upstream.server_names import MOST_LEFT, MOST_NAMES
from tests.upstream.name_cases import (
    FIRST,
    SECOND,
    ServerTestCase,
    address,
    alias,
    answer,
    asked_for,
)
from tests.upstream.network import Line


class ExchangeTests(ServerTestCase):
    """One question, one server, and what may happen to it."""

    def setUp(self) -> None:
        super().setUp()
        self.zone["a.test"] = [address("a.test", "203.0.113.1")]

    def test_truncated_is_asked_over_tcp(self) -> None:
        """What UDP has no room for is asked for over TCP."""
        self.network.name_servers[FIRST] = lambda query: [answer(query, truncated=True)]
        self.network.serve_raw(*FIRST, self.over_tcp(self.reply))
        self.assertEqual(self.look("a.test"), ["203.0.113.1"])
        self.assertEqual(self.network.dialled, [FIRST, FIRST])
        self.assertTrue(all(line.closed_by_client for line in self.network.lines))

    def test_truncated_without_tcp(self) -> None:
        """Where TCP is blocked, the addresses that had room are used."""
        part = address("a.test", "203.0.113.9")
        self.network.name_servers[FIRST] = lambda query: [answer(query, part, truncated=True)]
        self.assertEqual(self.look("a.test"), ["203.0.113.9"])

    def test_tcp_always(self) -> None:
        """A server for TCP is never asked over UDP."""
        self.network.serve_raw(*FIRST, self.over_tcp(self.reply))
        self.names = self.make(FIRST, tcp_only=True)
        self.assertEqual(self.look("a.test"), ["203.0.113.1"])
        self.assertEqual(self.network.sockets, [])

    def test_strangers_are_passed_over(self) -> None:
        """Answers with a wrong identifier or to another question do not count."""

        def spoofed(query: bytes) -> list[bytes]:
            evil = address("a.test", "203.0.113.66")
            wrong = bytes([query[0] ^ 1]) + query[1:]
            other = encode_query(int.from_bytes(query[:2], "big"), Question("b.test", RecordType.A))
            return [answer(wrong, evil), answer(other, evil), b"", query, self.reply(query)]

        self.network.name_servers[FIRST] = spoofed
        self.assertEqual(self.look("a.test"), ["203.0.113.1"])
        self.assertTrue(all(socket.closed for socket in self.network.sockets))

    def test_hostile_over_tcp(self) -> None:
        """Wrong identifiers, junk, and a message without end over TCP do not hold us up."""

        def never(line: Line, data: bytes) -> None:
            line.send(b"\xff\xff" + b"x" * 30000)

        def wrong(query: bytes) -> bytes:
            return self.reply(bytes([query[0] ^ 1]) + query[1:])

        for handler in (never, self.over_tcp(wrong), self.over_tcp(lambda _: b"junk")):
            self.network.serve_raw(*FIRST, handler)
            names = self.make(FIRST, tcp_only=True)
            waiting = names.lookup("a.test", 443)
            self.network.pass_time(6.5)
            self.assertEqual(self.hosts(waiting), [])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_identifiers_differ(self) -> None:
        """Every query has a socket and an identifier of its own."""
        seen: list[bytes] = []
        self.network.name_servers[FIRST] = lambda query: seen.append(query[:2]) or []
        self.network.name_servers[SECOND] = lambda query: seen.append(query[:2]) or []
        for number in range(20):
            self.names.lookup(f"{number}.test", 443)
        self.network.pass_time(7)
        self.assertGreater(len(set(seen)), 50)
        self.assertEqual(len(self.network.sockets), len(seen))


class ServerNamesTests(ServerTestCase):
    """From names to addresses by name servers."""

    def test_both_kinds(self) -> None:
        """Both kinds of addresses are asked for and take turns, aliases are followed."""
        self.assertTrue(verifyObject(INames, self.names))
        self.zone["x.test"] = [alias("x.test", "y.test")]
        self.zone["y.test"] = [
            address("y.test", "203.0.113.1"),
            address("y.test", "203.0.113.2"),
            address("y.test", "2001:db8::1"),
        ]
        waiting = self.names.lookup("X.test.", 443)
        self.assertEqual(self.hosts(waiting), ["2001:db8::1", "203.0.113.1", "203.0.113.2"])
        self.assertEqual({name for name, _ in self.queries}, {"x.test", "y.test"})

    def test_without_servers(self) -> None:
        """Addresses and localhost are not asked for."""
        for host in ("203.0.113.1", "2001:db8::1"):
            self.assertEqual(self.look(host), [host])
        for host in ("localhost", "LOCALHOST.", "x.localhost"):
            self.assertEqual(self.look(host), ["127.0.0.1", "::1"])
        self.assertEqual(self.queries, [])

    def test_next_server(self) -> None:
        """A server that is silent, refuses, fails or talks nonsense is followed by the next."""
        self.zone["x.test"] = [address("x.test", "203.0.113.1")]
        for ill in (
            None,
            lambda query: [answer(query, code=2)],
            lambda query: [answer(query, code=5)],
            lambda query: [query[:2] + b"\x80\0\0\1\0\1\0\0\0\0" + query[12:] + b"\xc0\xff"],
        ):
            self.network.name_servers[FIRST] = ill
            self.names = self.make(FIRST, SECOND)
            self.assertEqual(self.look("x.test"), ["203.0.113.1"])
        self.network.name_servers[FIRST] = lambda query: []
        self.names = self.make(FIRST, SECOND)
        waiting = self.names.lookup("x.test", 443)
        self.network.pass_time(0.75)
        self.assertNoResult(waiting)
        self.network.pass_time(0.5)
        self.assertEqual(self.hosts(waiting), ["203.0.113.1"])

    def test_one_kind_is_not_answered(self) -> None:
        """A server that never says anything about IPv6 costs a moment, not the look-up."""
        self.zone["x.test"] = [address("x.test", "203.0.113.1")]
        self.network.name_servers[FIRST] = lambda query: (
            [] if asked_for(query)[1] == dns.AAAA else [self.reply(query)]
        )
        self.names = self.make(FIRST)
        waiting = self.names.lookup("x.test", 443)
        self.network.pass_time(0.75)
        self.assertEqual(self.hosts(waiting), ["203.0.113.1"])
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_dead_servers(self) -> None:
        """With all servers silent there is an end within six seconds, and no address."""
        self.network.name_servers = {FIRST: lambda _: [], SECOND: lambda _: []}
        waiting = self.names.lookup("x.test", 443)
        self.network.pass_time(5.5)
        self.assertNoResult(waiting)
        self.network.pass_time(1)
        self.assertEqual(self.hosts(waiting), [])
        self.assertTrue(all(socket.closed for socket in self.network.sockets))
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_kept_for_their_life(self) -> None:
        """Addresses are kept as long as they say, within five seconds and five minutes."""
        for ttl, fresh, old in ((0, 4, 6), (60, 59, 61), (10**9, 299, 301)):
            name = f"{ttl}.test"
            self.zone[name] = [address(name, "203.0.113.1", ttl)]
            self.look(name)
            count = len(self.queries)
            self.network.advance(fresh)
            self.look(name)
            self.assertEqual(len(self.queries), count)
            self.network.advance(old - fresh)
            self.look(name)
            self.assertGreater(len(self.queries), count)

    def test_what_does_not_exist(self) -> None:
        """A name that does not exist is not asked for again at once."""
        self.assertEqual(self.look("x.test"), [])
        self.zone["x.test"] = [address("x.test", "203.0.113.1")]
        self.assertEqual(self.look("x.test"), [])
        self.network.advance(6)
        self.assertEqual(self.look("x.test"), ["203.0.113.1"])

    def test_kept_while_servers_are_dead(self) -> None:
        """The last known addresses are used, after two seconds, while no server answers."""
        self.zone["x.test"] = [address("x.test", "203.0.113.1", 0)]
        self.look("x.test")
        self.network.advance(3600)
        self.network.name_servers = {FIRST: lambda _: [], SECOND: lambda _: []}
        waiting = self.names.lookup("x.test", 443)
        self.network.pass_time(2)
        self.assertEqual(self.hosts(waiting), ["203.0.113.1"])

    def test_bounded(self) -> None:
        """However many names a hostile upstream makes us look up, a thousand are kept."""
        for number in range(MOST_NAMES + 50):
            self.look(f"{number}.test")
        self.assertEqual(self.names.kept, MOST_NAMES)

    def test_shared(self) -> None:
        """Callers that ask meanwhile share the answer; one that is cancelled harms no other."""
        self.zone["x.test"] = [address("x.test", "203.0.113.1")]
        waiting = [self.names.lookup("x.test", 443) for _ in range(5)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        for each in waiting[1:]:
            self.assertEqual(self.hosts(each), ["203.0.113.1"])
        self.assertEqual(len(self.queries), 2)

    def test_look_ups_that_were_left_are_bounded(self) -> None:
        """Of the look-ups that nobody waits for any more the latest hundred go on."""
        self.network.name_servers = {FIRST: lambda _: [], SECOND: lambda _: []}
        for number in range(MOST_LEFT + 50):
            waiting = self.names.lookup(f"{number}.test", 443)
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        going_on = [socket for socket in self.network.sockets if not socket.closed]
        self.assertEqual(len(going_on), 2 * MOST_LEFT)
        self.network.pass_time(10)
        self.assertTrue(all(socket.closed for socket in self.network.sockets))

    def test_aliases_without_end(self) -> None:
        """A server that makes up alias after alias is asked a few times only."""
        self.network.name_servers[FIRST] = lambda query: [
            answer(query, alias(asked_for(query)[0], f"x{asked_for(query)[0]}"[-60:]))
        ]
        self.assertEqual(self.look("x.test"), [])
