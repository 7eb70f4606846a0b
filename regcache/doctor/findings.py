"""One thing that was found, with what to type where it is not well."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from regcache.light_dataclass import dataclass


class Level(Enum):
    """How well it is."""

    OK = "ok"
    LOOK = "look"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    :ivar check: what was looked at, such as ``disk`` or ``docker.io manifest``.
    :ivar text: what was found, in one line; free of secrets.
    :ivar fix: what to type, or to change; "" where nothing is to be done.
    """

    check: str
    level: Level
    text: str
    fix: str = ""

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "check": self.check,
            "level": self.level.value,
            "text": self.text,
            "fix": self.fix or None,
        }


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, text)


def look(check: str, text: str, fix: str = "") -> Finding:
    """It works, or may; a look at it is advisable."""
    return Finding(check, Level.LOOK, text, fix)


def bad(check: str, text: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.BAD, text, fix)


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """What is bad before what is to be looked at, before what is well; else in their order."""
    order = [Level.BAD, Level.LOOK, Level.OK]
    return sorted(findings, key=lambda each: order.index(each.level))
