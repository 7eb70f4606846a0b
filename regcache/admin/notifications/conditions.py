"""Decides which messages operators get, from conditions and from counts of damage.

A condition holds for some time:

==========  ==============================  =================================================
state       event                           message
==========  ==============================  =================================================
unknown     it holds                        none yet; ``begun`` if it need not last
                                            (:data:`HOLD`)
waiting     it has lasted long enough       ``begun``
waiting     it does not hold any more       none, since it was short
reported    it does not hold any more       ``over``
reported    it holds for another reason     none
==========  ==============================  =================================================

Damage is counted. If the count has grown there is a message ``happened`` with the difference, at
most once in :data:`PAUSE`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

#: Seconds that a condition has to last before it is reported.
HOLD = {"disk": 10.0, "upstream_down": 60.0}
#: Seconds between two messages about the same damage.
PAUSE = 60.0
#: Conditions that are followed at a time; further ones are not reported.
MOST = 1000


class Condition(NamedTuple):
    """A condition that holds now.

    :ivar event: disk, credentials, certificate, upstream_down or quota.
    :ivar subject: what it concerns, e.g. the name of an upstream.
    :ivar text: one plain sentence, free of secrets.
    """

    event: str
    subject: str
    text: str


class Occurrence(NamedTuple):
    """How often damage has occurred since the start.

    :ivar times: how often.
    :ivar text: of one message; ``{count}`` stands for how often since the last message.
    """

    event: str
    subject: str
    text: str
    times: int


class Message(NamedTuple):
    """A message for operators.

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
    """Remembers which conditions hold, and which of them were reported."""

    def __init__(self) -> None:
        self._since: dict[Key, float] = {}
        self._told: dict[Key, str] = {}
        self._counted: dict[Key, tuple[int, float]] = {}

    def follow(self, present: Iterable[Condition], now: float) -> list[Message]:
        """Compare with the conditions that hold now; gives the messages to send."""
        texts: dict[Key, str] = {}
        for event, subject, text in islice(present, MOST):
            texts.setdefault((event, subject), text)
        return [*self._over(texts, now), *self._begun(texts, now)]

    def _over(self, texts: dict[Key, str], now: float) -> Iterator[Message]:
        for key in [key for key in self._since if key not in texts]:
            del self._since[key]
            text = self._told.pop(key, None)
            if text is not None:
                yield Message(*key, "over", text=text, time=now)

    def _begun(self, texts: dict[Key, str], now: float) -> Iterator[Message]:
        for key, text in texts.items():
            since = self._since.setdefault(key, now)
            if key not in self._told and now - since >= HOLD.get(key[0], 0.0):
                self._told[key] = text
                yield Message(*key, "begun", text=text, time=now)

    def count(self, damages: Iterable[Occurrence], now: float) -> list[Message]:
        """Compare with the present counts; gives the messages to send."""
        found = []
        for event, subject, text, times in islice(damages, MOST):
            before, told_at = self._counted.get((event, subject), (0, -PAUSE))
            if times > before and now - told_at >= PAUSE:
                self._counted[event, subject] = (times, now)
                told = text.format(count=times - before)
                found.append(Message(event, subject, "happened", text=told, time=now))
        return found
