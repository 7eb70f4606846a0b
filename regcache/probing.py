"""What a test of an upstream finds, step by step: plain values."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY

from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step of the test of one URL.

    :ivar name: DNS, connect, TLS, token or ``/v2/``.
    :ivar text: what came of it, or what failed and what to change; free of secrets.
    :ivar seconds: how long it took; None while it goes on.
    :ivar ok: None while it goes on.
    """

    name: str
    _: KW_ONLY
    text: str = ""
    seconds: float | None = None
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class ProbedUrl:
    """The steps of one URL of an upstream, as far as they have come.

    :ivar skew: how far we are ahead of its clock (seconds); None where it did not tell the time.
    """

    url: str
    steps: Sequence[ProbeStep]
    skew: float | None = None

    @property
    def problem(self) -> str:
        """What failed; "" where nothing has."""
        return next((f"{each.name}: {each.text}" for each in self.steps if each.ok is False), "")


TellProbe = Callable[[Sequence[ProbedUrl]], object]
"""Is told of all URLs whenever a step has begun or ended."""
