"""WWW-Authenticate: a strict parser of RFC 9110, 11.6.1.

Pure and bounded. A header that violates the grammar anywhere gives no challenge at all: a challenge
that was understood in part could send credentials to the wrong place.
"""

import re
from collections.abc import Sequence
from dataclasses import field

from regcache.light_dataclass import dataclass

LONGEST_HEADER = 8192
MOST_CHALLENGES = 16
MOST_PARAMETERS = 32

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SPACES = re.compile(r"[ \t]*")
_SEPARATOR = re.compile(r"[ \t]*,[ \t,]*")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|\Z))")
_ASSIGN = re.compile(r"[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"')
_ESCAPED = re.compile(r"\\(.)")


class ChallengeError(ValueError):
    """The header breaks the grammar or the bounds."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme and the names of its parameters in lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)

    def asks_as(self, other: "Challenge | None") -> bool:
        """Whether both are answered by the same proof."""
        names = ("realm", "service", "scope")
        return (
            other is not None
            and self.scheme == other.scheme
            and all(self.parameters.get(n) == other.parameters.get(n) for n in names)
        )


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """Read all challenges of all WWW-Authenticate header lines, in order.

    :raises ChallengeError: if any of them is malformed, or they are too many or too long.
    """
    text = ", ".join(values)
    if len(text) > LONGEST_HEADER:
        raise ChallengeError("too long")
    return _Parser(text).challenges()


class _Parser:
    """A cursor over one header value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def challenges(self) -> list[Challenge]:
        found: list[Challenge] = []
        self._skip_empty_elements()
        while not self._at_end():
            if len(found) >= MOST_CHALLENGES:
                raise ChallengeError("too many challenges")
            found.append(self._challenge())
        return found

    def _challenge(self) -> Challenge:
        scheme = self._take(_TOKEN).lower()
        if not self._take(_SPACES):
            self._end_of_element()
            return Challenge(scheme)
        if self._peek(_TOKEN68) and not self._parameter_follows():
            self._take(_TOKEN68)
            self._end_of_element()
            return Challenge(scheme)
        return Challenge(scheme, self._parameters())

    def _parameters(self) -> dict[str, str]:
        parameters: dict[str, str] = {}
        while self._parameter_follows():
            name = self._take(_TOKEN).lower()
            self._take(_ASSIGN)
            if name in parameters or len(parameters) >= MOST_PARAMETERS:
                raise ChallengeError("a parameter is repeated, or there are too many")
            parameters[name] = self._value()
            self._end_of_element()
        return parameters

    def _value(self) -> str:
        quoted = _QUOTED.match(self._text, self._position)
        if quoted is None:
            return self._take(_TOKEN)
        self._position = quoted.end()
        return _ESCAPED.sub(r"\1", quoted.group(1))

    def _parameter_follows(self) -> bool:
        name = _TOKEN.match(self._text, self._position)
        if name is None:
            return False
        assign = _ASSIGN.match(self._text, name.end())
        if assign is None:
            return False
        value = self._text[assign.end() : assign.end() + 1]
        return value == '"' or _TOKEN.match(value) is not None

    def _end_of_element(self) -> None:
        self._take(_SPACES)
        if not self._at_end():
            self._take(_SEPARATOR)

    def _skip_empty_elements(self) -> None:
        self._take(_SPACES)
        if self._peek(_SEPARATOR):
            self._take(_SEPARATOR)

    def _at_end(self) -> bool:
        return self._position >= len(self._text)

    def _peek(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._position) is not None

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._position)
        if match is None:
            raise ChallengeError("malformed")
        self._position = match.end()
        return match.group()
