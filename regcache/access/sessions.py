"""Sessions of the web UI, and the links that begin one without a password.

Tokens are kept hashed: they cannot be used by a reader of the table's memory.
"""

import hashlib
import secrets

from twisted.internet.interfaces import IReactorTime

from regcache.access.entries import Entries
from regcache.light_dataclass import dataclass

#: How long a session lasts (seconds).
SESSION_LIFE = 12 * 3600
#: How long a link may be opened (seconds).
LINK_LIFE = 300
#: Sessions of one account at once; with one more all former ones end.
MOST_OF_ACCOUNT = 50
_SESSION, _LINK = "session", "link"
_TOKEN_BYTES = 32

#: How many entries of each kind there may be.
LIMITS = {_SESSION: 5000, _LINK: 100}


@dataclass(frozen=True, slots=True)
class Session:
    """The session of an account that has logged in.

    :ivar account: "" where a one-time link was opened.
    :ivar mark: of the account's proof at that time: the session ends with it.
    :ivar until: its end (Unix seconds).
    """

    account: str
    mark: str
    until: float


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, entries: Entries, clock: IReactorTime) -> None:
        self._entries = entries
        self._clock = clock

    def begin(self, account: str, mark: str) -> tuple[str, Session]:
        """A new session, and its token."""
        self._make_room(account)
        session = Session(account, mark, self._clock.seconds() + SESSION_LIFE)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._entries.put_if_absent(_SESSION, _key(token), session, seconds=SESSION_LIFE)
        return token, session

    def _make_room(self, account: str) -> None:
        """End all sessions of an account that has too many: it shall push out no other's."""
        own = [each for each in self._entries.values(_SESSION) if each.account == account]
        if sum(each.until > self._clock.seconds() for each in own) >= MOST_OF_ACCOUNT:
            self._entries.remove_where(_SESSION, lambda session: session.account == account)

    def find(self, token: str) -> Session | None:
        """The session of a token; None where there is none, or none any more."""
        found: Session | None = self._entries.get(_SESSION, _key(token))
        return found

    def end(self, token: str) -> None:
        """End a session."""
        self._entries.remove(_SESSION, _key(token))

    def make_link(self) -> tuple[str, float]:
        """The token of a new link, and its end (Unix seconds)."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._entries.put_if_absent(_LINK, _key(token), True, seconds=LINK_LIFE)
        return token, self._clock.seconds() + LINK_LIFE

    def take_link(self, token: str) -> bool:
        """Use a link up; whether there was one."""
        return self._entries.remove(_LINK, _key(token)) is not None


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
