"""Blob bodies: how they flow, stall and end."""

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.upstream.blob_body import SLOWEST, BlobBody
from regcache.upstream.build import RELAYS_FOR_EACH_DOWNLOAD
from regcache.upstream.connections import LEAST_READ, READ_SIZE
from tests.upstream.blob_cases import BlobTestCase
from tests.upstream.cases import BLOB, DIGEST
from tests.upstream.network import response
from tests.upstream.recorders import Consumer


class FlowTests(BlobTestCase):
    """How a body flows and ends."""

    def start(self, length: int = 10) -> BlobBody:
        """A body of which nothing has come yet, delivered."""
        body = self.begin(response(200, b"", Content_Length=str(length)))
        body.deliver(self.consumer)
        return body

    def send(self, data: bytes) -> None:
        """Let some of it come."""
        self.line.send(data)
        self.network.settle()

    def test_pause_and_resume(self) -> None:
        """A paused body delivers nothing; both calls may be repeated."""
        body = self.start()
        self.send(b"abc")
        for _ in range(3):
            body.pause()
        self.send(b"def")
        self.assertEqual(self.consumer.content, b"abc")
        for _ in range(3):
            body.resume()
        self.network.settle()
        self.assertEqual(self.consumer.content, b"abcdef")
        body.abort()

    def test_media_type(self) -> None:
        """It says what it is, if it does."""
        for said, meant in (("text/html; charset=utf-8", "text/html"), (None, "")):
            fields = {} if said is None else {"Content_Type": said}
            body = self.begin(response(200, BLOB, **fields))
            self.assertEqual(body.media_type, meant)
            body.abort()

    def test_pause_within_the_first_chunk(self) -> None:
        """A consumer that pauses while buffered bytes are delivered is obeyed."""
        body = self.begin(response(200, BLOB))
        self.consumer.on_chunk = body.pause
        body.deliver(self.consumer)
        self.assertTrue(self.line.transport.paused or self.consumer.ended)
        body.abort()

    def test_stall(self) -> None:
        """No byte for stall_timeout ends it; each byte begins the time anew."""
        self.start()
        self.network.pass_time(29)
        self.send(b"a")
        self.network.pass_time(29)
        self.assertEqual(self.consumer.failures, [])
        self.network.pass_time(2)
        [failure] = self.consumer.failures
        self.assertIsInstance(failure, UpstreamTimedOut)
        self.assertTrue(self.line.closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_no_stall_while_paused_by_us(self) -> None:
        """The stall time-out rests while we are the ones who stall."""
        body = self.start()
        body.pause()
        self.network.pass_time(300, 5)
        self.assertEqual(self.consumer.failures, [])
        body.resume()
        self.network.pass_time(31)
        self.assertEqual(len(self.consumer.failures), 1)

    def test_no_total_time_out(self) -> None:
        """A slow body may take for ever as long as it brings 1 KiB a second."""
        size = 30 * SLOWEST
        body = self.start(1000 * size)
        for _ in range(100):
            self.network.pass_time(20, 20)
            self.send(bytes(size))
        self.assertEqual((len(self.consumer.content), self.consumer.failures), (100 * size, []))
        body.abort()

    def test_drips(self) -> None:
        """A body of a byte every other second ends after a minute, and holds no place for ever."""
        self.start(1000)
        for _ in range(29):
            self.network.pass_time(2, 1)
            self.send(b"x")
        self.assertEqual(self.consumer.failures, [])
        self.network.pass_time(2, 1)
        [failure] = self.consumer.failures
        self.assertIsInstance(failure, UpstreamTimedOut)
        self.assertTrue(self.line.closed_by_client)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_each_minute_counts(self) -> None:
        """A body that begins well and then drips ends a minute later, at most two."""
        self.start(10_000_000)
        self.send(bytes(1_000_000))
        for _ in range(59):
            self.network.pass_time(2, 1)
            self.send(b"x")
        self.assertEqual(self.consumer.failures, [])
        self.network.pass_time(4, 1)
        self.assertIsInstance(self.consumer.failures[0], UpstreamTimedOut)

    def test_drips_while_paused_by_us(self) -> None:
        """The time that a client of ours holds a body back is not the upstream's."""
        body = self.start(10_000_000)
        for _ in range(100):
            self.send(b"x")
            body.pause()
            self.network.pass_time(10, 5)
            body.resume()
            self.network.pass_time(0.5, 0.5)
        self.assertEqual(self.consumer.failures, [])
        for _ in range(6):
            self.network.pass_time(2, 1)
            self.send(b"x")
        self.assertIsInstance(self.consumer.failures[0], UpstreamTimedOut)

    def test_undelivered(self) -> None:
        """A body that nobody wants is given up; who wants it then hears so."""
        body = self.begin(response(200, b"", Content_Length="10"))
        self.network.pass_time(31)
        self.assertTrue(self.line.closed_by_client)
        body.deliver(self.consumer)
        self.assertIsInstance(self.consumer.failures[0], UpstreamTimedOut)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_abort(self) -> None:
        """Abort closes the connection at once, and the consumer hears nothing more."""
        for delivered in (True, False):
            body = self.begin(response(200, b"ab", Content_Length="10"))
            if delivered:
                body.deliver(self.consumer)
            body.abort()
            body.abort()
            self.assertTrue(self.line.closed_by_client)
            heard = self.consumer.content
            self.send(b"later")
            self.assertEqual(self.consumer.content, heard)
            self.assertEqual((self.consumer.ended, self.consumer.failures), (0, []))
            body.pause()
            body.resume()
            self.assertEqual(self.network.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """A body that breaks off fails (Content-Length that lies: long)."""
        self.start()
        self.send(b"abc")
        self.line.close()
        self.network.settle()
        self.assertIsInstance(self.consumer.failures[0], UpstreamUnreachable)
        self.assertEqual(self.consumer.ended, 0)

    def test_part_of_another_length(self) -> None:
        """A chunked part shorter or longer than its Content-Range fails."""
        for data in (b"abc", b"abcdefghijkl"):
            consumer = Consumer()
            answer = response(
                206,
                b"",
                Content_Length="absent",
                Transfer_Encoding="chunked",
                Content_Range="bytes 5-14/100",
            )
            body = self.begin(answer + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data), 5, 15)
            body.deliver(consumer)
            self.network.settle()
            self.assertIsInstance(consumer.failures[0], UpstreamBadAnswer)
            self.assertEqual(consumer.ended, 0)
            self.assertLessEqual(len(consumer.content), 10)

    def test_more_than_announced(self) -> None:
        """Bytes behind the announced end are not part of the body (Content-Length: short)."""
        self.start(3)
        self.send(b"abcdef")
        self.assertEqual((self.consumer.content, self.consumer.ended), (b"abc", 1))

    def test_malformed_chunks(self) -> None:
        """A chunked body that breaks its grammar fails."""
        answer = response(200, b"", Content_Length="absent", Transfer_Encoding="chunked")
        for junk in (b"0x3\r\nabc\r\n", b"zz\r\n", b"-1\r\n"):
            consumer = Consumer()
            self.begin(answer).deliver(consumer)
            self.send(junk)
            self.assertEqual((len(consumer.failures), consumer.ended), (1, 0), junk)


class PlaceTests(BlobTestCase):
    """max_downloads."""

    def test_place_is_held_until_the_end(self) -> None:
        """The next transfer begins when a body has ended, failed or was aborted."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=1)
        waiting = [registry.get_blob("x", DIGEST) for _ in range(4)]
        first = self.outcome(waiting[0])
        first.deliver(self.consumer)
        self.network.settle()
        self.assertEqual(len(self.network.requests), 1)
        self.line.send(b"abc")
        self.network.settle()
        self.assertEqual(len(self.network.requests), 2)
        self.outcome(waiting[1]).abort()
        self.network.settle()
        self.assertEqual(len(self.network.requests), 3)
        self.outcome(waiting[2]).deliver(Consumer())
        self.network.pass_time(31)
        self.assertEqual(len(self.network.requests), 4)
        self.outcome(waiting[3]).abort()

    def test_waiting_is_not_the_upstreams_time(self) -> None:
        """A place is waited for as long as the bodies of others take, and then there is time."""
        self.serve(lambda _: response(200, b"", Content_Length="10000000"))
        registry = self.registry(max_downloads=1)
        first = self.outcome(registry.get_blob("x", DIGEST))
        first.deliver(self.consumer)
        self.serve(lambda _: None)
        second = registry.get_blob("x", DIGEST)
        for _ in range(20):
            self.network.pass_time(10, 5)
            self.line.send(bytes(20_000))
        self.assertNoResult(second)
        self.line.handler = lambda _: None
        first.abort()
        self.network.pass_time(19)
        self.assertNoResult(second)
        self.assertEqual(len(self.network.requests), 2)
        self.line.send(response(200, b"", Content_Length="3"))
        self.outcome(second).abort()

    def test_place_of_a_body_that_we_hold_back(self) -> None:
        """Nor is it the upstream's time while we are the ones who take nothing."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=1)
        first = self.outcome(registry.get_blob("x", DIGEST))
        first.deliver(self.consumer)
        first.pause()
        second = registry.get_blob("x", DIGEST)
        self.network.pass_time(300, 5)
        self.assertNoResult(second)
        first.abort()
        self.outcome(second).abort()

    def test_relays_have_places_of_their_own(self) -> None:
        """However many bodies go at the pace of clients, the next download finds a place."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=1)
        relays = [registry.get_blob("x", DIGEST, relayed=True) for _ in range(20)]
        self.network.settle()
        self.assertEqual(len(self.network.requests), RELAYS_FOR_EACH_DOWNLOAD)
        self.outcome(registry.get_blob("x", DIGEST)).abort()
        for each in relays[:4]:
            self.outcome(each).abort()
        self.network.settle()
        for each in relays[4:]:
            self.outcome(each).abort()

    def test_download_that_becomes_a_relay(self) -> None:
        """It gives its place to the next download."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=1)
        first = self.outcome(registry.get_blob("x", DIGEST))
        second = registry.get_blob("x", DIGEST)
        self.network.settle()
        self.assertNoResult(second)
        self.assertTrue(first.make_relay())
        self.outcome(second).abort()
        first.abort()

    def test_relays_are_read_in_small_pieces(self) -> None:
        """One that was asked for as such as well as one that becomes it; no other body is."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=2)
        sizes = []
        for relayed in (False, True):
            body = self.outcome(registry.get_blob("x", DIGEST, relayed=relayed))
            sizes.append(self.line.transport.bufferSize)
            body.make_relay()
            sizes.append(self.line.transport.bufferSize)
            body.abort()
            self.network.settle()
        self.assertEqual(sizes, [READ_SIZE, LEAST_READ, LEAST_READ, LEAST_READ])

    def test_no_place_for_another_relay(self) -> None:
        """Where the relays have none left, a download cannot become one."""
        self.serve(lambda _: response(200, b"", Content_Length="3"))
        registry = self.registry(max_downloads=1)
        relays = [
            self.outcome(registry.get_blob("x", DIGEST, relayed=True))
            for _ in range(RELAYS_FOR_EACH_DOWNLOAD)
        ]
        body = self.outcome(registry.get_blob("x", DIGEST))
        self.assertFalse(body.make_relay())
        relays[0].abort()
        self.assertTrue(body.make_relay())
        for each in [body, *relays]:
            each.abort()
