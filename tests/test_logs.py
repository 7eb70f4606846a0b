"""Events as lines."""

import io
import json
import time
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.errors import UpstreamUnreachable
from regcache.logs import MOST_WAITING, LineObserver, LineWriter, escape_text


class LogCase(SynchronousTestCase):
    """A logger that writes to a string."""

    def lines(self, log_format: str, emit: Any) -> list[str]:
        """The lines that come of what is done with a logger."""
        stream = io.StringIO()
        observer = LineObserver(LineWriter(stream, log_format, lambda: 0.25))
        emit(Logger("regcache.test", observer=observer))
        return stream.getvalue().splitlines()


class TextTests(LogCase):
    """The format text."""

    def test_interface(self) -> None:
        """The observer is one for twisted.logger."""
        self.assertTrue(verifyObject(ILogObserver, LineObserver(LineWriter(io.StringIO()))))

    def test_line(self) -> None:
        """An event is a line with time, level, logger and message."""
        (line,) = self.lines("text", lambda log: log.warn("full: {size}B", size=5))
        self.assertEqual(line, "1970-01-01T00:00:00.250Z warn regcache.test full: 5B")

    def test_one_line(self) -> None:
        """Control characters of a value do not begin a line."""
        (line,) = self.lines("text", lambda log: log.info("{x}", x="a\nb\x1bc\u2028d\udc80"))
        self.assertTrue(line.endswith(r"a\x0ab\x1bc\u2028d\udc80"))

    def test_threshold(self) -> None:
        """Debug events are left out."""
        self.assertEqual(self.lines("text", lambda log: log.debug("x")), [])

    def test_expected_fault(self) -> None:
        """An upstream's failure is one line."""
        failure = Failure(UpstreamUnreachable("ghcr.io", "no route"))
        (line,) = self.lines("text", lambda log: log.failure("fill", failure=failure))
        self.assertTrue(line.endswith("critical regcache.test fill: ghcr.io: no route"))

    def test_unexpected_fault(self) -> None:
        """Any other brings its traceback, in lines that are marked."""

        def emit(log: Logger) -> None:
            try:
                raise ValueError("odd\nvalue")
            except ValueError:
                log.failure("it broke")

        first, *others = self.lines("text", emit)
        self.assertTrue(first.endswith("it broke: ValueError"))
        self.assertTrue(any("Traceback" in line for line in others))
        for line in others:
            self.assertTrue(line.startswith("1970-01-01T00:00:00.250Z critical regcache.test | "))

    def test_legacy_event(self) -> None:
        """Events without a level or namespace, as of old code, are lines too."""
        stream = io.StringIO()
        observer = LineObserver(LineWriter(stream, clock=lambda: 0.0))
        observer({"log_format": "x", "log_time": 0.0})
        self.assertEqual(stream.getvalue(), "1970-01-01T00:00:00.000Z info - x\n")


class JSONTests(LogCase):
    """The format json."""

    def test_fields(self) -> None:
        """An event is an object with its message and plain fields."""
        (line,) = self.lines("json", lambda log: log.info("at {n}\n", n=5, other=object()))
        self.assertEqual(
            json.loads(line),
            {
                "time": "1970-01-01T00:00:00.250Z",
                "level": "info",
                "logger": "regcache.test",
                "message": "at 5\n",
                "n": 5,
            },
        )

    def test_own_names_are_kept(self) -> None:
        """A field cannot replace the time, level, logger or message."""
        (line,) = self.lines("json", lambda log: log.info("x", time=1, logger="y", message="z"))
        fields = json.loads(line)
        self.assertEqual((fields["logger"], fields["message"]), ("regcache.test", "x"))

    def test_traceback(self) -> None:
        """A traceback is a field."""
        failure = Failure(ValueError("odd"))
        (line,) = self.lines("json", lambda log: log.failure("it broke", failure=failure))
        self.assertIn("odd", json.loads(line)["traceback"])


class BrokenStream(io.StringIO):
    """A disk that is full."""

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(28, "No space left on device")


class WriterTests(SynchronousTestCase):
    """Streams that fail."""

    def test_lost_line(self) -> None:
        """A stream that fails costs the line and nothing else."""
        writer = LineWriter(BrokenStream())
        writer.write_text("info", "x", "y")
        closed = io.StringIO()
        closed.close()
        other = LineWriter(closed)
        other.write_fields("info", "x", {})
        self.assertEqual((writer.lost, other.lost), (1, 1))

    def test_narrow_stream(self) -> None:
        """A sign that a stream cannot encode is escaped, and no line is lost for it."""
        raw = io.BytesIO()
        writer = LineWriter(io.TextIOWrapper(raw, encoding="iso-8859-1"))
        writer.put_text("info", "x", "one")
        writer.write_text("info", "x", "\xfc \u4e2d")
        first, second = raw.getvalue().decode("iso-8859-1").splitlines()
        self.assertTrue(first.endswith(" x one"), first)
        self.assertTrue(second.endswith(" x \xfc \\u4e2d"), second)
        self.assertEqual(writer.lost, 0)

    def test_threads_at_the_turn_of_a_second(self) -> None:
        """Two threads that find a new second together do not get each other's time."""
        stream, seconds = io.StringIO(), iter([5.0, 6.0, 6.5])
        writer = LineWriter(stream, clock=lambda: next(seconds))
        real, others = time.strftime, [lambda: writer.write_text("info", "x", "other")]

        def interrupted(form: str, moment: time.struct_time) -> str:
            if others:
                others.pop()()
            return real(form, moment)

        self.patch(time, "strftime", interrupted)
        writer.write_text("info", "x", "first")
        writer.write_text("info", "x", "last")
        times = [line.split(" ")[0][-7:] for line in stream.getvalue().splitlines()]
        self.assertEqual(times, ["06.000Z", "05.000Z", "06.500Z"])

    def test_threshold_is_a_choice(self) -> None:
        """A lower threshold lets debug events through."""
        stream = io.StringIO()
        observer = LineObserver(LineWriter(stream), LogLevel.debug)
        Logger("n", observer=observer).debug("x")
        self.assertIn("debug n x", stream.getvalue())

    def test_escape(self) -> None:
        """Plain text, also beyond ASCII, stays as it is."""
        self.assertEqual(escape_text("häuser/ü"), "häuser/ü")


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        """Refuse."""
        raise OSError(28, "No space left on device")


class WaitingTests(SynchronousTestCase):
    """Lines that wait for others."""

    def test_bounded(self) -> None:
        """So many lines wait at most."""
        stream = io.StringIO()
        writer = LineWriter(stream)
        for number in range(MOST_WAITING - 1):
            writer.put_text("info", "x", str(number))
        self.assertEqual(stream.getvalue(), "")
        writer.put_fields("info", "x", {"message": "last"})
        lines = stream.getvalue().splitlines()
        self.assertEqual(len(lines), MOST_WAITING)
        self.assertTrue(lines[0].endswith(" 0"))

    def test_lost(self) -> None:
        """A stream that fails costs the lines, which are counted, and nothing else."""
        writer = LineWriter(FullDisk())
        writer.put_text("info", "x", "a")
        writer.write_text("info", "x", "b")
        self.assertEqual(writer.lost, 2)
        writer.flush()
        self.assertEqual(writer.lost, 2)
