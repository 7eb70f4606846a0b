"""The table of tokens, and what else is kept of challenges."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream import authorisation
from regcache.upstream.tokens import Token, TokenKey, TokenTable
from tests.upstream.cases import URL, TokenService, UpstreamTestCase


class TokenTableTests(SynchronousTestCase):
    """The table of tokens."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = TokenTable(self.clock, size=5)
        self.requests: list[Deferred[Token]] = []

    def fetch(self, scope: str) -> "Deferred[str]":
        """Ask for a token of a scope."""

        def fetcher() -> "Deferred[Token]":
            self.requests.append(Deferred())
            return self.requests[-1]

        return self.table.fetch(TokenKey("", "r", "s", scope), fetcher)

    def test_bounded(self) -> None:
        """Overfilled it drops what was used longest ago."""
        for number in range(50):
            waiter = self.fetch(str(number))
            self.requests[-1].callback(Token("t", 300.0))
            self.successResultOf(waiter)
        self.assertEqual(len(self.table), 5)
        self.assertIsNone(self.table.known(TokenKey("", "r", "s", "44")))
        self.assertEqual(self.table.known(TokenKey("", "r", "s", "45")), "t")

    def test_key_has_every_part(self) -> None:
        """Another identity, realm, service or scope is another token."""
        waiter = self.fetch("x")
        self.requests[-1].callback(Token("t", 300.0))
        self.successResultOf(waiter)
        for other in (("me", "r", "s", "x"), ("", "q", "s", "x"), ("", "r", "q", "x")):
            self.assertIsNone(self.table.known(TokenKey(*other)))

    def test_life(self) -> None:
        """A token is kept for its life less some leeway, and never longer than an hour."""
        for lifetime, kept in ((300.0, 290.0), (20.0, 16.0), (1e6, 3590.0)):
            waiter = self.fetch("x")
            self.requests[-1].callback(Token("t", lifetime))
            self.successResultOf(waiter)
            self.clock.advance(kept - 0.5)
            self.assertEqual(self.table.known(TokenKey("", "r", "s", "x")), "t")
            self.clock.advance(1)
            self.assertIsNone(self.table.known(TokenKey("", "r", "s", "x")))

    def test_failure_reaches_all_and_is_not_kept(self) -> None:
        """Every waiter gets the failure; the next one asks anew."""
        waiters = [self.fetch("x"), self.fetch("x")]
        self.assertEqual(len(self.requests), 1)
        self.requests[0].errback(ValueError())
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)
        self.assertNoResult(self.fetch("x"))
        self.assertEqual(len(self.requests), 2)

    def test_cancelling(self) -> None:
        """The last waiter that leaves cancels the request; a new one is a new request."""
        first, second = self.fetch("x"), self.fetch("x")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertFalse(self.requests[0].called)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertTrue(self.requests[0].called)
        self.fetch("x")
        self.assertEqual(len(self.requests), 2)


class BoundTests(UpstreamTestCase):
    """What hostile answers make us remember."""

    def test_learnt_challenges_are_bounded(self) -> None:
        """A challenge of every repository of the world does not fill the memory."""
        self.patch(authorisation, "MOST_LEARNT", 3)
        service = TokenService(f"{URL}/token")
        self.serve(
            lambda seen: service.tokens(seen) if seen.path == "/token" else service.registry(seen)
        )
        registry = self.registry()
        for number in range(8):
            self.outcome(registry.get_manifest(f"x{number}", "latest"))
        before = len(self.network.requests)
        self.outcome(registry.get_manifest("x7", "latest"))
        self.assertEqual(len(self.network.requests) - before, 1)
        self.outcome(registry.get_manifest("x0", "latest"))
        self.assertEqual(len(self.network.requests) - before, 3)
