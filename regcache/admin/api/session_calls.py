"""The session calls: who am I, logging in and out, and the one-time link."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from regcache.access.sessions import Sessions
from regcache.admin.api.call_problems import InvalidProblem, UnauthenticatedProblem
from regcache.admin.api.callers import Caller, Callers, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallAnswer, CallRoute
from regcache.admin.api.cookies import end_cookie, session_token, set_cookie
from regcache.admin.api.kinds import Parameter, Text
from regcache.admin.api.schemas import TEXT, TIME, array, nullable, record, words
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text

#: What an administrator may do.
ABILITIES = ("delete", "pin", "pull", "sweep", "verify", "purge", "test")

_SESSION = record(
    role=words("none", "read", "admin"),
    account=nullable(TEXT),
    via=nullable(words("loopback", "account", "link")),
    expires=nullable(TIME),
    can=array(words(*ABILITIES)),
)
GET_SESSION = ApiCall(
    method="GET",
    path="session",
    role=Role.NONE,
    text="Who asks, and what that one may do.",
    answer=_SESSION,
)
LOG_IN = ApiCall(
    method="POST",
    path="session",
    role=Role.NONE,
    text="Begins a session, with an account and its password or with a one-time link.",
    parameters=(
        Parameter("account", Text(256, 1)),
        Parameter("password", Text(1024)),
        Parameter("link", Text(256, 1)),
    ),
    answer=_SESSION,
)
LOG_OUT = ApiCall(
    method="DELETE", path="session", role=Role.NONE, text="Ends the session.", status=204
)
MAKE_LINK = ApiCall(
    method="POST",
    path="session/link",
    role=Role.ADMIN,
    socket_only=True,
    text="A link that begins an administrator's session, once, within five minutes.",
    answer=record(link=TEXT, expires=TIME, urls=array(TEXT)),
)

#: All of them.
CALLS = (GET_SESSION, LOG_IN, LOG_OUT, MAKE_LINK)


@dataclass(frozen=True, slots=True)
class SessionCalls:
    """Answers the session calls.

    :ivar addresses: gives the URLs under which the UI answers, that of loopback first.
    """

    callers: Callers
    sessions: Sessions
    addresses: Callable[[], Sequence[str]]

    def routes(self) -> list[CallRoute]:
        """All of them."""
        return [
            CallRoute(GET_SESSION, lambda asked: _told(asked.caller)),
            CallRoute(LOG_IN, self.log_in),
            CallRoute(LOG_OUT, self.log_out),
            CallRoute(MAKE_LINK, self.make_link),
        ]

    async def log_in(self, asked: AskedCall) -> CallAnswer:
        """Begin a session."""
        account, request = asked.values["account"], asked.request
        mark = await self._prove(asked)
        self.sessions.end(session_token(request))
        token, session = self.sessions.begin(account or "", mark)
        caller = self.callers.of_session(session, token, asked.reach, request.peer_address)
        if caller is None:
            raise UnauthenticatedProblem("the password was changed a moment ago")
        request.facts.account = caller.account
        return CallAnswer(_told(caller), {"Set-Cookie": set_cookie(request, token)})

    async def _prove(self, asked: AskedCall) -> str:
        """The mark of the account's proof; "" for a link. :raises Problem: if it proves nothing."""
        account, link = asked.values["account"], asked.values["link"]
        if (account is None) == (link is None):
            raise InvalidProblem("account", "either account and password, or link is needed")
        if link is None:
            return await _check_password(self.callers, asked)
        if not self.sessions.take_link(link):
            raise UnauthenticatedProblem("this link was used already, or is too old")
        return ""

    def log_out(self, asked: AskedCall) -> CallAnswer:
        """End the session, if there is one."""
        self.sessions.end(session_token(asked.request))
        return CallAnswer(headers={"Set-Cookie": end_cookie(asked.request)})

    def make_link(self, asked: AskedCall) -> dict[str, Any]:
        """Make a one-time link."""
        token, until = self.sessions.make_link()
        urls = [f"{address}/#/link/{token}" for address in self.addresses()]
        return {"link": token, "expires": time_text(until), "urls": urls}


async def _check_password(callers: Callers, asked: AskedCall) -> str:
    """The mark of the account's proof. :raises UnauthenticatedProblem: if it is wrong."""
    account, password = asked.values["account"], asked.values["password"]
    if password is None:
        raise InvalidProblem("password", "it is missing")
    if ":" in account:
        raise UnauthenticatedProblem("the account or the password is wrong")
    shown = base64.b64encode(f"{account}:{password}".encode()).decode("ascii")
    decision = await callers.log_in(callers.asker(asked.request, f"Basic {shown}"))
    return decision.mark


def _told(caller: Caller) -> dict[str, Any]:
    return {
        "role": caller.role.word,
        "account": caller.account or None,
        "via": caller.via,
        "expires": time_or_null(caller.expires),
        "can": list(ABILITIES) if caller.role is Role.ADMIN else [],
    }
