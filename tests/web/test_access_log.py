"""Lines and counts of requests."""

import io
import json
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from regcache.logs import LineWriter
from regcache.metrics import Metrics
from regcache.web.access_log import LONGEST_KNOWN, AccessLog, MetricsRecorder, format_record
from regcache.web.records import RequestRecord

RECORD = RequestRecord(
    peer="192.0.2.7",
    account="",
    method="GET",
    kind="blob",
    upstream="docker.io",
    repository="library/alpine",
    reference="sha256:abc",
    status=200,
    body_bytes=1234,
    outcome="hit",
    cache_status="regcache; hit",
    first_byte=0.00125,
    seconds=1.5,
    ended_early="",
    host="docker.example.com",
    path=b"/v2/alpine/blobs/sha256:abc",
    listener="443",
)


class LineTests(SynchronousTestCase):
    """One line per request."""

    def write(self, record: RequestRecord, log_format: str = "text") -> str:
        """What is written for a record."""
        stream = io.StringIO()
        AccessLog(LineWriter(stream, log_format, lambda: 86400.5))(record)
        return stream.getvalue()

    def test_text(self) -> None:
        """A line tells who asked for what, and what became of it."""
        self.assertEqual(
            self.write(RECORD),
            "1970-01-02T00:00:00.500Z info regcache.access peer=192.0.2.7 account=- method=GET"
            " kind=blob upstream=docker.io repository=library/alpine reference=sha256:abc"
            " host=docker.example.com path=/v2/alpine/blobs/sha256:abc listener=443"
            " status=200 bytes=1234 outcome=hit first_byte=0.0013 duration=1.5000"
            ' cache_status="regcache; hit"\n',
        )

    def test_ended_early(self) -> None:
        """A line says why an answer was cut, and leaves out a first byte that never was."""
        record = RECORD._replace(
            ended_early="the client left", first_byte=None, cache_status="", error=""
        )
        line = self.write(record)
        self.assertIn('first_byte=- duration=1.5000 ended_early="the client left"\n', line)

    def test_error(self) -> None:
        """A line says what the client was told went wrong."""
        line = self.write(RECORD._replace(error="upstream a.b answered 500", cache_status=""))
        self.assertIn('duration=1.5000 error="upstream a.b answered 500"\n', line)
        fields = json.loads(self.write(RECORD._replace(error="too slow"), "json"))
        self.assertEqual(fields["error"], "too slow")

    def test_json(self) -> None:
        """JSON has the same facts by name."""
        fields = json.loads(self.write(RECORD, "json"))
        self.assertEqual(fields["logger"], "regcache.access")
        self.assertEqual(fields["bytes"], 1234)
        self.assertEqual(fields["duration"], 1.5)
        self.assertEqual(fields["cache_status"], "regcache; hit")
        self.assertEqual(fields["host"], "docker.example.com")
        self.assertEqual(fields["path"], "/v2/alpine/blobs/sha256:abc")
        self.assertEqual(fields["listener"], "443")

    def test_listener(self) -> None:
        """An endpoint with signs of its own is one value."""
        line = format_record(RECORD._replace(listener="tcp:80:interface=127.0.0.1"))
        self.assertIn(' listener="tcp:80:interface=127.0.0.1" ', line)

    def test_alike(self) -> None:
        """What lines have in common is that of their own record, however long it is."""
        long = "a" * (LONGEST_KNOWN + 1)
        for name in ("account", "method", "upstream", "repository", "host", "outcome"):
            for value in ("one", "another", "a b", long):
                line = self.write(RECORD._replace(**{name: value}))
                word = f'"{value}"' if " " in value else value
                self.assertIn(f" {name}={word} ", line)
                self.assertIn(" status=200 bytes=1234 ", line)
        self.assertIn(" status=404 ", self.write(RECORD._replace(status=404)))

    def test_no_injection(self) -> None:
        """No value makes a line of its own, or fakes another value."""
        evil = 'x status=200\n"bytes=1\r\x1b[2J\u2028\\'
        for log_format in ("text", "json"):
            record = RECORD._replace(method=evil, ended_early=evil, path=evil.encode())
            line = self.write(record, log_format)
            self.assertEqual(len(line.splitlines()), 1)
            self.assertNotIn("\x1b", line)
        self.assertIn(
            r'method="x status=200\x0a\"bytes=1\x0d\x1b[2J\u2028\\"',
            format_record(RECORD._replace(method=evil)),
        )


class BatchTests(SynchronousTestCase):
    """Lines that are written together."""

    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.writer = LineWriter(self.stream, "text", lambda: 86400.5)
        self.due: list[Callable[[], None]] = []
        self.log = AccessLog(self.writer, self.due.append)

    def lines(self) -> list[str]:
        """What was written so far."""
        return self.stream.getvalue().splitlines()

    def test_together(self) -> None:
        """The first line has all that follow written soon, and one after that once more."""
        for _ in range(2):
            for _ in range(3):
                self.log(RECORD)
            self.assertEqual(len(self.due), 1)
            self.due.pop()()
        self.assertEqual(len(self.lines()), 6)

    def test_order(self) -> None:
        """Another line is written behind those that wait; a flush at the end finds nothing."""
        self.log(RECORD)
        self.assertEqual(self.lines(), [])
        self.writer.write_text("info", "regcache", "stopped")
        self.assertIn("regcache.access", self.lines()[0])
        self.assertIn("stopped", self.lines()[1])
        self.writer.flush()
        self.assertEqual(len(self.lines()), 2)


class CountTests(SynchronousTestCase):
    """One count per request."""

    def test_counted(self) -> None:
        """A record is counted under its labels."""
        metrics = Metrics(["docker.io"])
        MetricsRecorder(metrics)(RECORD)
        labels = {"upstream": "docker.io", "kind": "blob", "outcome": "hit", "status": "200"}
        self.assertEqual(metrics.registry.get_sample_value("regcache_requests_total", labels), 1)
