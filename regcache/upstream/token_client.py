"""Asking a token realm (the "Docker Registry v2 authentication via central service")."""

import json
import re
from collections.abc import Callable
from urllib.parse import quote

from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamRateLimited,
    UpstreamServerError,
)
from regcache.upstream.bodies import BodyReader
from regcache.upstream.credentials import Identity
from regcache.upstream.exchange import Answer, IExchangeAgent, UpstreamRequest
from regcache.upstream.fields import error_detail, is_encoded, only_value, retry_after
from regcache.upstream.tokens import DEFAULT_LIFE, Token
from regcache.upstream.urls import Url

LARGEST_ANSWER = 64 * 1024
LONGEST_TOKEN = 16 * 1024
_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_TOKEN}}}\Z")
_ERROR_BYTES = 1024


class RealmDeniedError(Exception):
    """The realm refuses a token.

    :ivar status: 401 or 403.
    :ivar detail: the realm's message, cut and cleaned.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the token realm answered {status}")
        self.status = status
        self.detail = detail


class TokenClient:
    """Fetches one token. Redirects of a realm are not followed."""

    def __init__(
        self,
        upstream: str,
        agent: IExchangeAgent,
        reader: BodyReader,
        unix_now: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._agent = agent
        self._reader = reader
        self._unix_now = unix_now

    async def fetch(self, realm: Url, service: str, scope: str, identity: Identity) -> Token:
        """Ask for a token.

        :param realm: checked before (:func:`~regcache.upstream.realm.checked_realm`).
        :raises RealmDeniedError: if the realm says 401 or 403.
        :raises UpstreamFailure: if its answer is anything else but a token.
        """
        wanted = [("service", service)] if service else []
        wanted += [("scope", scope)] if scope else []
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in wanted)
        request = UpstreamRequest(
            b"GET",
            realm.with_query(query),
            (("Accept", "application/json"), ("Accept-Encoding", "identity")),
        )
        if not identity.is_anonymous:
            request = request.authorised(identity.basic())
        answer: Answer = await self._agent.send(request)
        if answer.status != 200:
            raise await self._refusal(answer)
        if is_encoded(answer.headers):
            answer.abort()
            raise UpstreamBadAnswer(self._upstream, "its token is compressed")
        return self._token(await self._reader.read(answer, LARGEST_ANSWER))

    async def _refusal(self, answer: Answer) -> Exception:
        status = answer.status
        body = await self._reader.beginning(answer, _ERROR_BYTES)
        if status in (401, 403):
            return RealmDeniedError(status, error_detail(body))
        if status == 429:
            seconds = retry_after(only_value(answer.headers, "retry-after"), self._unix_now())
            return UpstreamRateLimited(
                self._upstream, "its token realm limits the rate", retry_after=seconds
            )
        if status >= 500:
            return UpstreamServerError(
                self._upstream, f"its token realm answered {status}", status=status
            )
        return UpstreamBadAnswer(
            self._upstream, f"its token realm answered {status}", status=status
        )

    def _token(self, body: bytes) -> Token:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise UpstreamBadAnswer(self._upstream, "its token realm sent no JSON object")
        value = content.get("token") or content.get("access_token")
        if not isinstance(value, str) or not _TOKEN.match(value):
            raise UpstreamBadAnswer(self._upstream, "its token realm sent no usable token")
        return Token(value, _lifetime(content.get("expires_in")))


def _lifetime(value: object) -> float:
    """The life of a token in seconds; 60 if the realm states none that makes sense."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return DEFAULT_LIFE
    return float(value)
