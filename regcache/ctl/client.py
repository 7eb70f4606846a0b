"""A client of the daemon's API, as commands use it, and how it fails.

What connects is in ``daemon_client.py``: it takes a while to load, and not every command needs it.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class NoDaemonError(Exception):
    """No daemon answers; the text is one line.

    :ivar why: without what to do about it.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(f"{why}; {remedy}" if remedy else why)
        self.why = why


class RefusedError(Exception):
    """The daemon answered that it does not do this; the text is one line.

    :ivar problem: its document (docs/api.md, "Errors").
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "it failed"))
        self.problem = problem

    @property
    def code(self) -> str:
        """The code of the problem, for programs."""
        return str(self.problem.get("code", ""))


class IAsksDaemon(Protocol):
    """A client of the API, as commands use it."""

    async def get(self, call: str, **parameters: Any) -> Any:
        """The answer to a GET; a parameter that is None is left out.

        :raises NoDaemonError: if no daemon answers.
        :raises RefusedError: if it is refused.
        """

    async def change(self, method: str, call: str, body: Mapping[str, Any]) -> Any:
        """The answer to what changes something; None where it has no body.

        :raises NoDaemonError: if no daemon answers.
        :raises RefusedError: if it is refused.
        """

    async def pause(self, seconds: float) -> None:
        """Wait before the next question."""
