"""Lines and counts of requests."""

import io
import json
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regcache.logs import LineWriter
from regcache.metrics import Metrics
from regcache.web.access_log import AccessLog, MetricsRecorder, RequestRecord, format_record

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
            " status=200 bytes=1234 outcome=hit first_byte=0.0013 duration=1.5000"
            ' cache_status="regcache; hit"\n',
        )

    def test_ended_early(self) -> None:
        """A line says why an answer was cut, and leaves out a first byte that never was."""
        record = replace(
            RECORD, ended_early="the client left", first_byte=None, cache_status="", error=""
        )
        line = self.write(record)
        self.assertIn('first_byte=- duration=1.5000 ended_early="the client left"\n', line)

    def test_error(self) -> None:
        """A line says what the client was told went wrong."""
        line = self.write(replace(RECORD, error="upstream a.b answered 500", cache_status=""))
        self.assertIn('duration=1.5000 error="upstream a.b answered 500"\n', line)
        fields = json.loads(self.write(replace(RECORD, error="too slow"), "json"))
        self.assertEqual(fields["error"], "too slow")

    def test_json(self) -> None:
        """JSON has the same facts by name."""
        fields = json.loads(self.write(RECORD, "json"))
        self.assertEqual(fields["logger"], "regcache.access")
        self.assertEqual(fields["bytes"], 1234)
        self.assertEqual(fields["duration"], 1.5)
        self.assertEqual(fields["cache_status"], "regcache; hit")

    def test_no_injection(self) -> None:
        """No value makes a line of its own, or fakes another value."""
        evil = 'x status=200\n"bytes=1\r\x1b[2J\u2028\\'
        for log_format in ("text", "json"):
            line = self.write(replace(RECORD, method=evil, ended_early=evil), log_format)
            self.assertEqual(len(line.splitlines()), 1)
            self.assertNotIn("\x1b", line)
        self.assertIn(
            r'method="x status=200\x0a\"bytes=1\x0d\x1b[2J\u2028\\"',
            format_record(replace(RECORD, method=evil)),
        )


class CountTests(SynchronousTestCase):
    """One count per request."""

    def test_counted(self) -> None:
        """A record is counted under its labels."""
        metrics = Metrics(["docker.io"])
        MetricsRecorder(metrics)(RECORD)
        labels = {"upstream": "docker.io", "kind": "blob", "outcome": "hit", "status": "200"}
        self.assertEqual(metrics.registry.get_sample_value("regcache_requests_total", labels), 1)
