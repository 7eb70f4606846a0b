"""Commands that ask a daemon which answers from a table."""

import argparse
import io
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.api.calls import ApiCall
from regcache.ctl.asking import supervise
from regcache.ctl.command import Work
from regcache.ctl.main import parser
from regcache.ctl.printer import Printer
from tests.support.api import assert_answers


class Terminal(io.StringIO):
    """A stream that says whether somebody looks at it."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        """Whether somebody does."""
        return self._is_terminal


class FakeDaemon:
    """Answers what it was told to; answers are held to the schema of their call.

    :ivar answers: by method and call; an exception is raised, and of a list one after another
        given, the last one again and again.
    :ivar asked: method, call, and parameters or body.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []
        self.links: list[str] = []

    def answer(self, call: ApiCall, answer: Any) -> None:
        """Set the answer of a call."""
        for each in answer if isinstance(answer, list) else [answer]:
            if not isinstance(each, Exception):
                assert_answers(call, each)
        self.answers[call.method, call.path] = answer

    async def get(self, call: str, **parameters: Any) -> Any:
        """The answer to a GET."""
        return self._take("GET", call, parameters)

    async def change(self, method: str, call: str, body: Mapping[str, Any]) -> Any:
        """The answer to a change."""
        return self._take(method, call, body)

    async def pause(self, seconds: float) -> None:
        """No time is lost."""

    async def open_link(self, link: str) -> None:
        """Notes it."""
        self.links.append(link)

    def _take(self, method: str, call: str, values: Mapping[str, Any]) -> Any:
        self.asked.append((method, call, values))
        answer = self.answers[method, call]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class CommandCase(SynchronousTestCase):
    """Runs a command against a fake daemon.

    :ivar terminal: whether somebody looks at the printer, and can answer.
    :ivar typed: what that one types.
    """

    terminal = False
    typed = ""

    def setUp(self) -> None:
        self.daemon = FakeDaemon()

    def options(self, *arguments: str) -> argparse.Namespace:
        """The command line, read."""
        return parser().parse_args(arguments)

    def run_work(self, work: Work, *arguments: str) -> tuple[int, str, str]:
        """Exit status, printer, and what was said beside it."""
        options = self.options(*arguments)
        out, errors = Terminal(self.terminal), io.StringIO()
        answers = Terminal(self.terminal)
        answers.write(self.typed)
        answers.seek(0)
        printer = Printer(options.json, out, errors, answers)
        running = supervise(options, self.daemon, printer, work)
        status = self.successResultOf(Deferred.fromCoroutine(running))
        return status, out.getvalue(), errors.getvalue()
