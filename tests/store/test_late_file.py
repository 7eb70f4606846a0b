"""Tests for regcache.store.late_file."""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from regcache.store.late_file import LateFile


class LateFileTests(SynchronousTestCase):
    """Tests for :class:`LateFile`."""

    def setUp(self) -> None:
        """A file that is opened when the test says so."""
        self.opening: list[Deferred[Any]] = []
        self.late = LateFile()

    async def open(self) -> Any:
        """Wait for the test."""
        waiting: Deferred[Any] = Deferred()
        self.opening.append(waiting)
        return await waiting

    def test_not_needed(self) -> None:
        """It is not opened before it is needed."""
        self.assertEqual((self.late.begun, self.late.file, self.opening), (False, None, []))

    def test_opened_once(self) -> None:
        """All calls wait for one opening, and are done in their order."""
        done: list[object] = []

        def step(file: Any) -> "Deferred[None]":
            done.append(file)
            return succeed(None)

        waiting = [
            self.late.run(self.open, step),
            self.late.wait(self.open),
            self.late.run(self.open, step),
        ]
        self.assertTrue(self.late.begun)
        [opening] = self.opening
        self.assertEqual(done, [])
        opening.callback("the file")
        for each in (*waiting, self.late.run(self.open, step)):
            self.successResultOf(each)
        self.assertEqual((done, self.late.file), (["the file"] * 3, "the file"))

    def test_cannot_be_opened(self) -> None:
        """All who wait are told, and all who come later."""
        waiting = [self.late.wait(self.open), self.late.run(self.open, self.fail)]
        self.opening[0].errback(OSError(28, "No space left on device"))
        for each in (*waiting, self.late.wait(self.open)):
            self.failureResultOf(each, OSError)
        self.assertEqual((self.late.failed, self.late.file), (True, None))
        self.assertEqual(len(self.opening), 1)
