"""JSON that is parsed without keeping anybody waiting."""

import contextlib

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache import parsing
from regcache.parsing import MOST_VALUES, SMALL, Parser, TooManyValuesError, load_json
from tests.support.pools import HeldPool


class ParserTests(SynchronousTestCase):
    """Where manifests are parsed."""

    def setUp(self) -> None:
        """A parser whose threads wait."""
        self.pool = HeldPool()
        self.parser = Parser(self.pool)

    def begin(self, size: int) -> "Deferred[int]":
        """Have something done."""
        return Deferred.fromCoroutine(self.parser.run(size, int, "5"))

    def test_small(self) -> None:
        """What is small is done at once."""
        self.assertEqual(self.successResultOf(self.begin(SMALL)), 5)
        self.assertEqual(self.pool.jobs, [])

    def test_large(self) -> None:
        """Large bodies are read in a thread, one after the other, also if a client leaves."""
        waiting = [self.begin(SMALL + 1) for _ in range(4)]
        self.assertEqual(len(self.pool.jobs), 1)
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        for each in (waiting[0], waiting[2], waiting[3]):
            self.assertNoResult(each)
            self.assertEqual(len(self.pool.jobs), 1)
            self.pool.release()
            self.assertEqual(self.successResultOf(each), 5)

    def test_failure(self) -> None:
        """Who fails, or leaves while it has its turn, does not keep the others from theirs."""
        failing = Deferred.fromCoroutine(self.parser.run(SMALL + 1, int, "x"))
        left, last = self.begin(SMALL + 1), self.begin(SMALL + 1)
        self.pool.release()
        self.failureResultOf(failing, ValueError)
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.pool.release_all()
        self.assertEqual(self.successResultOf(last), 5)


class LoadTests(SynchronousTestCase):
    """What is parsed at all."""

    def test_valid(self) -> None:
        """JSON in UTF-8 is parsed."""
        self.assertEqual(
            load_json('{"a": ["\u00e9", 1, null]}'.encode()), {"a": ["\u00e9", 1, None]}
        )

    def test_many_values(self) -> None:
        """What would be millions of values is refused before it is parsed."""
        parsed: list[str] = []
        self.patch(parsing.json, "loads", parsed.append)
        for part in (b"[],", b"{},", b"1,", b"[[[[,"):
            content = b'{"x":[' + part * MOST_VALUES + b"1]}"
            self.assertRaises(TooManyValuesError, load_json, content)
        self.assertEqual(parsed, [])

    def test_nested(self) -> None:
        """What is nested too deeply for the parser is no JSON."""
        self.assertRaises(ValueError, load_json, b"[" * 100_000)

    @given(some.binary(max_size=100))
    def test_anything(self, content: bytes) -> None:
        """Any bytes are parsed, or raise ValueError and nothing else."""
        with contextlib.suppress(ValueError):
            load_json(content)
