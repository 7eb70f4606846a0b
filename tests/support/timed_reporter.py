"""A reporter of trial that notes what each test took: seconds on the clock, and of processors."""

import os
import threading
import time
from typing import Any, TypedDict
from unittest import TestCase

from twisted.trial.reporter import TreeReporter


class Seconds(TypedDict):
    """What something took.

    :ivar wall: seconds on the clock.
    :ivar cpu: seconds of processors, with those of all children that have ended.
    """

    wall: float
    cpu: float


#: Set by :func:`interrupt`. trial takes an interrupt for the error of one test, and goes on.
interrupted = threading.Event()


def interrupt(number: int, frame: object) -> None:
    """The handler of a signal: ends the test that runs, which cleans up, and the whole run."""
    interrupted.set()
    raise KeyboardInterrupt


NOTHING: Seconds = {"wall": 0.0, "cpu": 0.0}


def added(one: Seconds, other: Seconds) -> Seconds:
    """The sum of both."""
    return {"wall": one["wall"] + other["wall"], "cpu": one["cpu"] + other["cpu"]}


def _now() -> Seconds:
    return {"wall": time.monotonic(), "cpu": sum(os.times()[:4])}


def _since(begun: Seconds) -> Seconds:
    now = _now()
    return {
        "wall": round(now["wall"] - begun["wall"], 3),
        "cpu": round(now["cpu"] - begun["cpu"], 3),
    }


class TimedReporter(TreeReporter):
    """
    :ivar tests: what each test took, by its name; what it cleans up is part of it.
    :ivar modules: what each module took, by its name.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tests: dict[str, Seconds] = {}
        self.modules: dict[str, Seconds] = {}
        self._begun = NOTHING

    def startTest(self, test: TestCase) -> None:
        """Begin to measure."""
        self._begun = _now()
        super().startTest(test)

    def stopTest(self, test: TestCase) -> None:
        """Note what it took."""
        super().stopTest(test)
        if interrupted.is_set():
            self.stop()
        took, name = _since(self._begun), test.id()
        module = name.rsplit(".", 2)[0]  # trial wraps the test, but not its name
        self.tests[name] = took
        self.modules[module] = added(self.modules.get(module, NOTHING), took)
