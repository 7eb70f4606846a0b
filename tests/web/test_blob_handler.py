"""Blobs as a client sees them."""

from email import message_from_bytes
from email.message import Message

from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.errors import UpstreamNotFound, UpstreamRateLimited
from regcache.media_types import OCI_MANIFEST
from tests.support.front import MAIN, STALL, Front, Setting
from tests.support.registries import Fault
from tests.support.web_client import Answer, MemoryClient
from tests.test_manifest_body import image

CONTENT = bytes(range(256)) * 20
LARGE = bytes(range(256)) * 1024


def path_of(content: bytes) -> str:
    """Where a blob is asked for."""
    return f"/v2/org/app/blobs/{Digest.of(content)}"


BLOB, BIG = path_of(CONTENT), path_of(LARGE)
ETAG = f'"{Digest.of(CONTENT)}"'


class BlobCase(SynchronousTestCase):
    """Two blobs at the default upstream."""

    setting = Setting()

    def setUp(self) -> None:
        self.front = Front(self.mktemp(), self.setting)
        self.addCleanup(self.front.stop)
        for content in (CONTENT, LARGE):
            self.front.main.add(content)

    def mention(self) -> None:
        """The client has pulled a manifest that lists both blobs."""
        layers = [
            {"mediaType": "a/b", "digest": str(Digest.of(each)), "size": len(each)}
            for each in (CONTENT, LARGE)
        ]
        content = str(image(layers=layers)).replace("'", '"').encode()
        self.front.main.add_manifest("org/app", "1", content, OCI_MANIFEST)
        self.assertEqual(self.front.get("/v2/org/app/manifests/1").status, 200)

    def begin(self, target: str, *lines: str) -> MemoryClient:
        """Ask, and let time pass, for answers that do not end as they should."""
        client = self.front.begin("GET", target, *lines)
        self.front.caches.run()
        self.addCleanup(client.leave)
        return client


class WholeTests(BlobCase):
    """GET and HEAD of all of it."""

    def test_miss_and_hit(self) -> None:
        """The first GET fetches, the second does not; both say so, and what clients rely on."""
        for status, age in (("regcache; fwd=uri-miss; stored", None), ("regcache; hit", "0")):
            answer = self.front.get(BLOB)
            self.assertEqual((answer.status, answer.body), (200, CONTENT))
            headers = answer.headers
            self.assertEqual(headers["cache-status"], status)
            self.assertEqual(headers.get("age"), age)
            self.assertEqual(headers["content-length"], str(len(CONTENT)))
            self.assertEqual(headers["content-type"], "application/octet-stream")
            self.assertEqual(headers["docker-content-digest"], str(Digest.of(CONTENT)))
            self.assertEqual(headers["etag"], ETAG)
            self.assertEqual(headers["cache-control"], "max-age=31536000, immutable")
            self.assertEqual(headers["accept-ranges"], "bytes")
        self.assertEqual(self.front.main.count("get_blob"), 1)
        self.assertEqual(self.front.main.count("head_blob"), 0)

    def test_joined(self) -> None:
        """Who asks while it is fetched shares the transfer, and both get all of it."""
        clients = [self.front.begin("GET", BIG) for _ in range(3)]
        self.front.caches.run(turns=1000)
        answers = [client.answer() for client in clients]
        for client in clients:
            client.leave()
        self.assertEqual([answer.body for answer in answers], [LARGE] * 3)
        self.assertEqual(
            sorted(answer.headers["cache-status"] for answer in answers),
            ["regcache; fwd=uri-miss; stored"] + ["regcache; fwd=uri-miss; stored; collapsed"] * 2,
        )
        self.assertEqual(self.front.main.count("get_blob"), 1)

    def test_head_equals_get(self) -> None:
        """HEAD of a cached blob has the headers of GET, and no body."""
        self.front.get(BLOB)
        got, head = self.front.get(BLOB), self.front.head(BLOB)
        self.assertEqual((head.status, head.headers, head.body), (200, got.headers, b""))

    def test_head_downloads_nothing(self) -> None:
        """HEAD of an unknown blob asks the upstream for its head alone, each time."""
        for _ in range(2):
            answer = self.front.head(BLOB)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["content-length"], str(len(CONTENT)))
            self.assertEqual(answer.headers["cache-status"], "regcache; fwd=uri-miss")
        self.assertEqual(self.front.main.count("get_blob"), 0)
        self.assertEqual(self.front.main.count("head_blob"), 2)

    def test_head_of_a_mentioned_blob(self) -> None:
        """HEAD of what a manifest mentions is answered from its descriptor."""
        self.mention()
        answer = self.front.head(BLOB)
        self.assertEqual(answer.headers["content-length"], str(len(CONTENT)))
        self.assertEqual(answer.headers["cache-status"], "regcache; hit; detail=descriptor")
        self.assertEqual(self.front.main.count("head_blob"), 0)

    def test_record(self) -> None:
        """The access log learns all about it."""
        self.front.get(BLOB)
        record = self.front.records.last
        self.assertEqual(
            (record.kind, record.upstream, record.repository, record.reference),
            ("blob", MAIN, "org/app", str(Digest.of(CONTENT))),
        )
        self.assertEqual((record.outcome, record.status), ("miss", 200))
        self.assertEqual(record.body_bytes, len(CONTENT))

    def test_leaves_early(self) -> None:
        """A client that leaves stops nothing: the blob is there for the next one."""
        client = self.front.begin("GET", BIG)
        self.front.caches.run(turns=50)
        self.assertIn(b"200 OK", client.raw)
        client.leave()
        self.front.caches.run(turns=1000)
        self.assertEqual(self.front.get(BIG).headers["cache-status"], "regcache; hit")
        self.assertEqual(self.front.main.count("get_blob"), 1)

    def test_stuck(self) -> None:
        """A client that takes nothing is cut, and its reader with it."""
        self.front.get(BIG)
        client = MemoryClient(self.front.site)
        client.channel.pauseProducing()
        client.request("GET", BIG)
        self.front.caches.run()
        self.front.clock.pump([1.0] * int(STALL + 1))
        self.assertTrue(client.transport.aborted)
        client.leave()
        self.assertEqual(
            self.front.records.last.ended_early, "the client took nothing for too long"
        )

    def test_slow(self) -> None:
        """A client that pauses again and again gets every byte in the end, and only once."""
        self.front.get(BIG)
        client = self.front.begin("GET", BIG)
        for _ in range(200):
            client.channel.pauseProducing()
            self.front.caches.run(turns=2)
            client.channel.resumeProducing()
        self.front.caches.run()
        self.assertEqual(client.answer().body, LARGE)
        client.leave()


class PrivateTests(BlobCase):
    """With access control."""

    setting = Setting(private=True)

    def test_private(self) -> None:
        """Shared caches must not keep what not everybody may have."""
        self.assertEqual(
            self.front.get(BLOB).headers["cache-control"], "private, max-age=31536000, immutable"
        )


class ConditionTests(BlobCase):
    """If-None-Match."""

    def test_not_modified(self) -> None:
        """Who has it gets 304 without a body; a blob that is not cached is not fetched for it."""
        self.mention()
        for tag in (ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"):
            for method in ("GET", "HEAD"):
                answer = self.front.ask(method, BLOB, f"If-None-Match: {tag}")
                self.assertEqual((answer.status, answer.body), (304, b""))
                self.assertEqual(answer.headers["etag"], ETAG)
                self.assertNotIn("content-length", answer.headers)
        self.assertEqual(self.front.main.count("get_blob"), 0)

    def test_modified(self) -> None:
        """Who has something else gets it, with no further question upstream."""
        for tag in ('"other"', "\xb2", '"\xff"', f"\xa0{ETAG}"):
            answer = self.front.get(BLOB, f"If-None-Match: {tag}")
            self.assertEqual((answer.status, answer.body), (200, CONTENT))
        self.assertEqual(self.front.main.count("head_blob"), 0)

    def test_absent(self) -> None:
        """A blob that no upstream has is 404, also if the client claims to have it."""
        absent = f"/v2/org/app/blobs/{Digest.of(b'absent')}"
        answer = self.front.get(absent, "If-None-Match: *")
        self.assertEqual((answer.status, answer.code), (404, "BLOB_UNKNOWN"))


class MemoryTests(BlobCase):
    """A small blob that is in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.front.get(BLOB)
        self.front.caches.index.content = None  # type: ignore[assignment, method-assign]
        self.front.caches.store.look_up = None  # type: ignore[assignment, method-assign]

    def test_answered_at_once(self) -> None:
        """GET, HEAD, a range and If-None-Match need neither index nor disk, nor any time."""
        part = "Range: bytes=100-199"
        for method, lines, status, body in (
            ("GET", [], 200, CONTENT),
            ("HEAD", [], 200, b""),
            ("GET", [part], 206, CONTENT[100:200]),
            ("HEAD", [part], 200, b""),
            ("GET", [f"If-None-Match: {ETAG}"], 304, b""),
            ("GET", [part, f"If-None-Match: {ETAG}"], 304, b""),
        ):
            client = self.front.begin(method, BLOB, *lines)
            answer = client.answer(heads_only=method == "HEAD")
            self.assertEqual((answer.status, answer.body), (status, body))
            self.assertEqual(answer.headers["cache-status"], "regcache; hit")
            self.assertEqual(answer.headers["etag"], ETAG)
            client.leave()
        self.assertEqual(len(self.front.caches.downloads), 0)

    def test_several_ranges(self) -> None:
        """Several ranges come from memory, too."""
        answer = self.front.get(BLOB, "Range: bytes=0-9,100-109")
        self.assertEqual(answer.status, 206)
        self.assertIn(CONTENT[100:110], answer.body)


class RangeTests(BlobCase):
    """Parts of a blob."""

    def setUp(self) -> None:
        super().setUp()
        self.front.get(BLOB)

    def assert_whole(self, answer: Answer) -> None:
        """All of it, as if no range had been asked for."""
        self.assertEqual((answer.status, answer.body), (200, CONTENT))
        self.assertNotIn("content-range", answer.headers)

    def parts(self, answer: Answer) -> list[Message]:
        """The parts of a multipart answer, whose length is right."""
        self.assertEqual(answer.status, 206)
        self.assertEqual(len(answer.body), int(answer.headers["content-length"]))
        head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
        message = message_from_bytes(head + answer.body)
        self.assertEqual(message.get_content_type(), "multipart/byteranges")
        self.assertEqual(message.defects, [])
        return message.get_payload()  # type: ignore[return-value]

    def test_single(self) -> None:
        """One range is 206 with its place and length."""
        for wanted, start, end in (
            ("0-0", 0, 1),
            ("100-199", 100, 200),
            ("5000-", 5000, 5120),
            ("-5", 5115, 5120),
            ("-99999", 0, 5120),
            ("5119-99999", 5119, 5120),
        ):
            answer = self.front.get(BLOB, f"Range: bytes={wanted}")
            self.assertEqual((answer.status, answer.body), (206, CONTENT[start:end]))
            self.assertEqual(answer.headers["content-range"], f"bytes {start}-{end - 1}/5120")
            self.assertEqual(answer.headers["content-length"], str(end - start))
            self.assertEqual(answer.headers["etag"], ETAG)

    def test_unsatisfiable(self) -> None:
        """A range behind the end is 416 with the size, and nothing to keep for a year."""
        for wanted in ("5120-", "9999-99999", "-0"):
            answer = self.front.get(BLOB, f"Range: bytes={wanted}")
            self.assertEqual((answer.status, answer.code), (416, "RANGE_INVALID"))
            self.assertEqual(answer.headers["content-range"], "bytes */5120")
            for name in ("cache-control", "etag", "docker-content-digest", "age"):
                self.assertNotIn(name, answer.headers)

    def test_ignored(self) -> None:
        """What cannot be understood, or is too much, is answered with all of it."""
        many = ",".join("0-0" for _ in range(300))
        for lines in (
            ["Range: bytes=a-b"],
            ["Range: lines=0-1"],
            ["Range: bytes=5-1"],
            ["Range: bytes=\xb2-"],
            ["Range: bytes=0-\xb9"],
            ["Range: \xff\xfe"],
            ["Range: bytes=0-0", "If-Range: \xb2"],
            ["Range: bytes=0-0", "Range: bytes=1-1"],
            [f"Range: bytes={many}"],
            ["Range: bytes=0-,0-,0-"],
        ):
            self.assert_whole(self.front.get(BLOB, *lines))

    def test_head(self) -> None:
        """A range means nothing to HEAD."""
        answer = self.front.head(BLOB, "Range: bytes=0-0")
        self.assertEqual((answer.status, answer.headers["content-length"]), (200, "5120"))

    def test_several(self) -> None:
        """Several ranges come as parts, each with its place, in the order asked for."""
        answer = self.front.get(BLOB, "Range: bytes=5000-5009,0-4,-3")
        self.assertNotIn("content-range", answer.headers)
        parts = self.parts(answer)
        self.assertEqual(
            [part["Content-Range"] for part in parts],
            ["bytes 5000-5009/5120", "bytes 0-4/5120", "bytes 5117-5119/5120"],
        )
        for part, (start, end) in zip(parts, ((5000, 5010), (0, 5), (5117, 5120)), strict=True):
            self.assertIn(b"\r\n\r\n" + CONTENT[start:end] + b"\r\n--", answer.body)
            self.assertEqual(part.get_content_type(), "application/octet-stream")

    def test_one_of_several(self) -> None:
        """Where only one of several exists it comes as a part: the client reads parts."""
        (part,) = self.parts(self.front.get(BLOB, "Range: bytes=0-4,9999-"))
        self.assertEqual(part["Content-Range"], "bytes 0-4/5120")

    def test_if_range(self) -> None:
        """If-Range holds for our own strong tag, and for nothing else."""
        kept = self.front.get(BLOB, "Range: bytes=0-0", f"If-Range: {ETAG}")
        self.assertEqual(kept.status, 206)
        for condition in (f"W/{ETAG}", '"other"', "Fri, 02 Jan 1970 00:00:00 GMT", "*", ""):
            answer = self.front.get(BLOB, "Range: bytes=0-0", f"If-Range: {condition}")
            self.assert_whole(answer)
        late = self.front.get(BLOB, "Range: bytes=9999-", 'If-Range: "other"')
        self.assert_whole(late)

    def test_not_modified_goes_first(self) -> None:
        """If-None-Match is looked at before the range (RFC 9110, 13.2.2)."""
        answer = self.front.get(BLOB, "Range: bytes=0-0", f"If-None-Match: {ETAG}")
        self.assertEqual(answer.status, 304)

    def test_cold(self) -> None:
        """A range of a cold blob is that range, and never spoils what is kept."""
        answer = self.front.get(BIG, "Range: bytes=1000-1999")
        self.assertEqual((answer.status, answer.body), (206, LARGE[1000:2000]))
        self.front.caches.run(turns=1000)
        self.assertEqual(self.front.get(BIG).body, LARGE)


class RelayTests(BlobCase):
    """Blobs that cannot be stored."""

    def setUp(self) -> None:
        super().setUp()
        self.front.caches.space.limit = 1000

    def test_whole(self) -> None:
        """It comes all the same, says why it is a miss each time, and nothing is stored."""
        for count in (1, 2):
            answer = self.front.get(BLOB)
            self.assertEqual((answer.status, answer.body), (200, CONTENT))
            self.assertEqual(answer.headers["cache-status"], "regcache; fwd=uri-miss; detail=relay")
            self.assertEqual(self.front.main.count("get_blob"), count)
        self.assertEqual(self.front.records.last.outcome, "relay")

    def test_range(self) -> None:
        """One range is cut out of it."""
        answer = self.front.get(BLOB, "Range: bytes=10-19")
        self.assertEqual((answer.status, answer.body), (206, CONTENT[10:20]))

    def test_several_ranges(self) -> None:
        """Several are answered with all of it, since it passes only once."""
        answer = self.front.get(BLOB, "Range: bytes=10-19,0-4")
        self.assertEqual((answer.status, answer.body), (200, CONTENT))


class UnknownLengthTests(BlobCase):
    """Upstreams that do not say how long a blob is."""

    def test_chunked(self) -> None:
        """The body is chunked, and ends with the last chunk; a range is ignored."""
        self.front.main.faults.append(Fault(hide_size=True))
        client = self.begin(BIG, "Range: bytes=0-0")
        self.front.caches.run(turns=1000)
        self.assertIn(b"200 OK", client.raw)
        self.assertIn(b"Transfer-Encoding: chunked", client.raw)
        self.assertTrue(client.raw.endswith(b"\r\n0\r\n\r\n"))

    def test_wrong(self) -> None:
        """A body that fails its digest never gets the last chunk."""
        self.front.main.faults.append(Fault(hide_size=True, flip=100))
        client = self.begin(BIG)
        self.front.caches.run(turns=1000)
        self.assertTrue(client.transport.aborted)
        self.assertFalse(client.raw.endswith(b"0\r\n\r\n"))


class FaultTests(BlobCase):
    """Upstreams that fail."""

    def test_codes(self) -> None:
        """Not there is BLOB_UNKNOWN; a limit is passed on with its time."""
        for failure, status, code in (
            (UpstreamNotFound(MAIN, "not found", status=404), 404, "BLOB_UNKNOWN"),
            (UpstreamRateLimited(MAIN, "slowly", retry_after=7), 429, "TOOMANYREQUESTS"),
        ):
            self.front.fail(failure)
            for method in ("GET", "HEAD"):
                answer = self.front.ask(method, BLOB)
                self.assertEqual(answer.status, status)
                if method == "GET":
                    self.assertEqual(answer.code, code)
                self.assertNotIn("etag", answer.headers)
            self.front.pass_time(100)
        self.assertEqual(answer.headers["retry-after"], "7")

    def test_small_and_wrong(self) -> None:
        """A small blob that fails its digest is an error before a byte of it has gone out."""
        self.front.main.faults.append(Fault(flip=10))
        answer = self.front.get(BLOB)
        self.assertEqual((answer.status, answer.code), (502, "UNAVAILABLE"))
        self.assertIn(MAIN.encode(), answer.body)

    def test_large_and_wrong(self) -> None:
        """A large one breaks off before its end."""
        self.front.main.faults.append(Fault(flip=10))
        client = self.begin(BIG)
        self.front.caches.run(turns=1000)
        self.assertTrue(client.transport.aborted)
        body = client.raw.partition(b"\r\n\r\n")[2]
        self.assertLessEqual(len(body), len(LARGE) - 65536)
        self.front.main.faults.clear()

    def test_grammar(self) -> None:
        """A digest that is none is 400, and nobody is asked."""
        for digest in ("sha256:xyz", "md5:" + "0" * 32, "sha256:" + "A" * 64, "latest"):
            answer = self.front.get(f"/v2/org/app/blobs/{digest}")
            self.assertEqual((answer.status, answer.code), (400, "DIGEST_INVALID"))
        self.assertEqual(self.front.main.requests, [])
