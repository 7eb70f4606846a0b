"""Time-outs, limits, and several URLs."""

from typing import Any

from twisted.internet.defer import CancelledError

from regcache.errors import (
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream.build import UpstreamUrl
from regcache.upstream.places import MOST_WAITING
from tests.upstream.cases import (
    ADDRESS,
    DIGEST,
    MANIFEST,
    URL,
    UpstreamTestCase,
    manifest_server,
)
from tests.upstream.network import response

OTHER_ADDRESS = "203.0.113.9"


class TimeTests(UpstreamTestCase):
    """Time-outs and limits."""

    def test_black_hole(self) -> None:
        """An upstream that accepts and says nothing is given first_byte_timeout."""
        self.serve(lambda _: None)
        waiting = self.registry().get_manifest("x", "latest")
        self.network.pass_time(19.5)
        self.assertNoResult(waiting)
        self.network.pass_time(1)
        self.failure(waiting, UpstreamTimedOut)
        self.assertTrue(self.network.lines[0].closed_by_client)
        self.assertEqual(len(self.network.requests), 1)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_many_at_a_black_hole(self) -> None:
        """A hundred calls all end within the time of one, for who waits has waited for it too."""
        self.serve(lambda _: None)
        registry = self.registry()
        waiting = [registry.get_manifest("x", f"tag{n}") for n in range(100)]
        self.network.pass_time(20.5)
        kinds = {type(self.failureResultOf(each).value) for each in waiting}
        self.assertEqual(kinds, {UpstreamTimedOut})
        self.assertEqual(len(self.network.lines), 32)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_later_at_a_black_hole(self) -> None:
        """Who came later has its time from then on, and not from when it has a place."""
        self.serve(lambda _: None)
        registry = self.registry(max_downloads=1)
        first = registry.get_blob("x", DIGEST)
        self.network.pass_time(15)
        second = registry.get_blob("x", DIGEST)
        self.network.pass_time(5.5)
        self.failure(first, UpstreamTimedOut)
        self.assertEqual(len(self.network.requests), 2)
        self.network.pass_time(14)
        self.assertNoResult(second)
        self.network.pass_time(1)
        self.failure(second, UpstreamTimedOut)

    def test_one_hole_in_a_sound_upstream(self) -> None:
        """Who waits beside one request without an answer is not the worse for it."""
        self.serve(lambda seen: None if "blobs" in seen.path else manifest_server(seen))
        registry = self.registry(max_downloads=1)
        first = registry.get_blob("x", DIGEST)
        second = registry.get_blob("x", DIGEST)
        self.network.pass_time(10)
        self.outcome(registry.get_manifest("x", "latest"))
        self.network.pass_time(10.5)
        self.failure(first, UpstreamTimedOut)
        self.assertNoResult(second)
        self.network.pass_time(19)
        self.assertNoResult(second)
        self.network.pass_time(1)
        self.failure(second, UpstreamTimedOut)

    def test_too_many_wait(self) -> None:
        """More than can wait are refused at once, and the upstream is not asked."""
        self.serve(lambda _: None)
        registry = self.registry(max_downloads=1)
        waiting = [registry.get_blob("x", DIGEST) for _ in range(MOST_WAITING + 1)]
        self.network.settle()
        failure = self.failure(registry.get_blob("x", DIGEST), UpstreamTimedOut)
        self.assertFalse(failure.asked)
        self.network.pass_time(30.5, 0.5)
        for each in waiting:
            self.failureResultOf(each, UpstreamTimedOut)

    def test_control_connections(self) -> None:
        """Thirty-two calls at once; the next one goes when one has ended."""
        self.serve(lambda _: None)
        registry = self.registry()
        waiting = [registry.get_manifest("x", f"tag{n}") for n in range(33)]
        self.network.settle()
        self.assertEqual(len(self.network.requests), 32)
        self.network.requests[0].line.send(response(200, MANIFEST))
        self.outcome(waiting[0])
        self.assertEqual(len(self.network.requests), 33)

    def test_cancelled(self) -> None:
        """Cancelling passes through, closes the connection and gives the place to the next."""
        self.serve(lambda _: None)
        registry = self.registry()
        waiting = [registry.get_manifest("x", f"tag{n}") for n in range(34)]
        self.network.settle()
        for index in (0, 33):
            waiting[index].cancel()
            self.failure(waiting[index], CancelledError)
        self.assertEqual(len(self.network.requests), 33)
        self.assertTrue(self.network.lines[0].closed_by_client)

    def test_cancelled_in_the_body(self) -> None:
        """A call that is cancelled while its body comes closes the connection."""
        self.serve(lambda _: response(200, b"", Content_Length="100"))
        waiting = self.registry().get_manifest("x", "latest")
        self.network.settle()
        waiting.cancel()
        self.failure(waiting, CancelledError)
        self.assertTrue(self.network.lines[0].closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_slow_layers_hold_up_no_manifest(self) -> None:
        """Blob bodies have places of their own."""
        self.serve(
            lambda seen: (
                response(200, b"", Content_Length="9")
                if "/blobs/" in seen.path
                else response(200, MANIFEST)
            )
        )
        registry = self.registry(max_downloads=2)
        for _ in range(4):
            registry.get_blob("x", DIGEST).addErrback(lambda _: None)
        self.network.settle()
        self.assertEqual(len(self.network.requests), 2)
        self.outcome(registry.get_manifest("x", "latest"))
        self.network.pass_time(120, 1)

    def test_stale_pooled_connection(self) -> None:
        """A pooled connection that the upstream has closed costs a retry, not a failure."""
        self.serve(manifest_server)
        registry = self.registry()
        self.outcome(registry.get_manifest("x", "latest"))
        self.network.lines[0].handler = lambda seen: seen.line.close()
        self.outcome(registry.get_manifest("x", "latest"))
        self.assertEqual(len(self.network.lines), 2)


class SeveralUrlsTests(UpstreamTestCase):
    """More than one URL, and their breakers."""

    def setUp(self) -> None:
        super().setUp()
        self.name("other.test", OTHER_ADDRESS)
        self.serve(manifest_server, OTHER_ADDRESS)
        self.urls = (UpstreamUrl(URL), UpstreamUrl("http://other.test"))

    def test_next_url(self) -> None:
        """Refused, 5xx and 429 lead to the next URL."""
        self.outcome(self.registry(*self.urls).get_manifest("x", "latest"))
        for status in (500, 503, 429):
            self.serve(lambda _, status=status: response(status))
            self.outcome(self.registry(*self.urls).get_manifest("x", "latest"))

    def test_answers_are_answers(self) -> None:
        """What the first URL does say is not asked of the next."""
        for status, kind in ((404, UpstreamNotFound), (403, UpstreamDenied)):
            self.serve(lambda _, status=status: response(status))
            self.failure(self.registry(*self.urls).get_manifest("x", "latest"), kind)
        self.assertNotIn(OTHER_ADDRESS, [seen.host for seen in self.network.requests])

    def test_who_refused(self) -> None:
        """A refusal says which URL it comes from."""
        for address in (ADDRESS, OTHER_ADDRESS):
            self.serve(lambda _: response(404), address)
        for url_index, skip in ((0, frozenset[int]()), (1, frozenset({0}))):
            asking = self.registry(*self.urls).get_blob("x", DIGEST, skip=skip)
            failure: Any = self.failure(asking, UpstreamNotFound)
            self.assertEqual(failure.url_index, url_index)

    def test_skip(self) -> None:
        """URLs to be skipped are not asked; with none left there is no answer."""
        self.serve(manifest_server)
        registry = self.registry(*self.urls)
        body = self.outcome(registry.get_blob("x", DIGEST, skip=frozenset({0})))
        self.assertEqual(body.url_index, 1)
        body.abort()
        self.failure(registry.get_blob("x", DIGEST, skip=frozenset({0, 1})), UpstreamUnreachable)

    def test_credentials_stay_with_their_url(self) -> None:
        """The second URL gets none of the first one's credentials."""
        challenge = "Basic realm=x"
        self.serve(
            lambda seen: (
                response(500)
                if "authorization" in seen.headers
                else response(401, WWW_Authenticate=challenge)
            )
        )
        self.serve(lambda _: response(401, WWW_Authenticate=challenge), OTHER_ADDRESS)
        urls = (UpstreamUrl(URL, lambda: ("me", "secret")), self.urls[1])
        self.failure(self.registry(*urls).get_manifest("x", "latest"), UpstreamDenied)
        self.assertEqual(len(self.shown(host="203.0.113.5")), 1)
        self.assertEqual(self.shown(host=OTHER_ADDRESS), [])
