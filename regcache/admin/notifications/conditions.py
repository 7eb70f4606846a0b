"""What an operator should know of, and when it is told.

A condition holds for a while:

==========  ==============================  =================================================
state       event                           what is told
==========  ==============================  =================================================
unknown     it holds                        nothing yet; at once where nothing has to be waited
                                            for (:data:`HOLD`)
waiting     it has held long enough         begun
waiting     it does not hold any more       nothing: it was a moment
told        it does not hold any more       over
told        it holds, for another reason    nothing
==========  ==============================  =================================================

Damage is no condition: it is counted. More of it is told as ``happened``, with how much, at most
once in :data:`PAUSE`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

#: Seconds that a condition has to last before it is told.
HOLD = {"disk": 10.0, "upstream_down": 60.0}
#: Seconds between two messages about the same damage.
PAUSE = 60.0
#: Conditions that are followed at a time; what is more is not told of.
MOST = 1000


class Condition(NamedTuple):
    """Something that holds now.

    :ivar event: disk, credentials, certificate, upstream_down or quota.
    :ivar subject: what it concerns, e.g. the name of an upstream.
    :ivar text: one plain sentence, free of secrets.
    """

    event: str
    subject: str
    text: str


class Occurrence(NamedTuple):
    """How often something has happened since the start: corruption.

    :ivar times: how often.
    :ivar text: of one message, in which ``{count}`` stands for how often since the last one.
    """

    event: str
    subject: str
    text: str
    times: int


class Message(NamedTuple):
    """What is told.

    :ivar state: begun, over or happened.
    :ivar time: Unix seconds.
    """

    event: str
    subject: str
    state: str
    text: str
    time: float


Key = tuple[str, str]


class Conditions:
    """What holds, and what was told of it."""

    def __init__(self) -> None:
        self._since: dict[Key, float] = {}
        self._told: dict[Key, str] = {}
        self._counted: dict[Key, tuple[int, float]] = {}

    def follow(self, present: Iterable[Condition], now: float) -> list[Message]:
        """Take over what holds now; gives what is to be told."""
        texts: dict[Key, str] = {}
        for event, subject, text in islice(present, MOST):
            texts.setdefault((event, subject), text)
        return [*self._over(texts, now), *self._begun(texts, now)]

    def _over(self, texts: dict[Key, str], now: float) -> Iterator[Message]:
        for key in [key for key in self._since if key not in texts]:
            del self._since[key]
            text = self._told.pop(key, None)
            if text is not None:
                yield Message(*key, "over", text, now)

    def _begun(self, texts: dict[Key, str], now: float) -> Iterator[Message]:
        for key, text in texts.items():
            since = self._since.setdefault(key, now)
            if key not in self._told and now - since >= HOLD.get(key[0], 0.0):
                self._told[key] = text
                yield Message(*key, "begun", text, now)

    def count(self, damages: Iterable[Occurrence], now: float) -> list[Message]:
        """Take over how often something has happened; gives what is to be told."""
        found = []
        for event, subject, text, times in islice(damages, MOST):
            before, told_at = self._counted.get((event, subject), (0, -PAUSE))
            if times > before and now - told_at >= PAUSE:
                self._counted[event, subject] = (times, now)
                told = text.format(count=times - before)
                found.append(Message(event, subject, "happened", told, now))
        return found
