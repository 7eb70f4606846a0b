"""``/token``: our own realm (distribution's token documentation, GET; OAuth2 form, POST)."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qs

from regcache.access.access import Access
from regcache.access.credentials import Asker, Scheme, parse_authorization
from regcache.access.principals import Decision, Wanted
from regcache.access.realm import TokenGiver, TokenRequest
from regcache.access.scopes import parse_scopes
from regcache.errors import NameUnknownError, RegistryError
from regcache.light_dataclass import dataclass
from regcache.references import Target, TargetKind, is_repository_name
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import InvalidHostError, normalise_host, resolve
from regcache.web.request import Request
from regcache.web.respond import send_json, set_header

PATH = b"/token"
METHODS = frozenset({b"GET", b"HEAD", b"POST"})
_FORM = "application/x-www-form-urlencoded"
#: How many fields a query or form may have; clients send about five.
MOST_FIELDS = 64

Fields = Mapping[str, Sequence[str]]


class BadTokenRequestError(RegistryError):
    """The request to the realm is malformed."""

    status, code = 400, "UNSUPPORTED"


@dataclass(frozen=True, slots=True)
class TokenHandler:
    """Answers requests to our realm."""

    gatekeeper: Gatekeeper
    giver: TokenGiver

    async def answer(self, request: Request) -> None:
        """Give a token, or ask for credentials.

        :raises RegistryError: for a malformed request, and for wrong credentials.
        """
        fields = _fields(request)
        asker = self.gatekeeper.asker(request)
        wanted = self._wanted(fields, asker)
        decision = await self._decision(request, fields, asker)
        request.facts.decided(decision)

        def locate(name: str) -> Sequence[Wanted]:
            return list(self._locate(request.hostname, name))

        if not self.giver.may_have(decision, wanted, locate):
            raise self.gatekeeper.permission.no_login(decision, "an account is needed")
        set_header(request, "Cache-Control", "no-store")
        send_json(request, self.giver.answer(decision, wanted, locate))

    def _wanted(self, fields: Fields, asker: Asker) -> TokenRequest:
        service = _one(fields, "service")
        if service and not self._is_ours(service):
            raise BadTokenRequestError("service is no host of this registry")
        offline = _one(fields, "offline_token").lower() in ("true", "1")
        offline = offline or _one(fields, "access_type") == "offline"
        values = fields.get("scope", ())
        scopes = parse_scopes(values)
        whole = len(scopes) == sum(len(value.split()) for value in values)
        return TokenRequest(asker.host, scopes, offline, whole)

    def _is_ours(self, service: str) -> bool:
        try:
            return self.gatekeeper.is_ours(normalise_host(service))
        except InvalidHostError:
            return False

    async def _decision(self, request: Request, fields: Fields, asker: Asker) -> Decision:
        access = self.gatekeeper.access
        if request.method == b"POST":
            return await self._by_form(access, fields, asker)
        if parse_authorization(asker.authorization).scheme is Scheme.BEARER:
            # A token must not be exchanged for another one: it would never expire.
            return access.wrong_token(asker)
        return await access.decide(asker)

    async def _by_form(self, access: Access, fields: Fields, asker: Asker) -> Decision:
        """RFC 6749, 4.3 and 6."""
        kind = _one(fields, "grant_type")
        if kind == "refresh_token":
            return access.decide_by_refresh(asker, _one(fields, "refresh_token"))
        if kind != "password":
            raise BadTokenRequestError("grant_type must be password or refresh_token")
        login = f"{_one(fields, 'username')}:{_one(fields, 'password')}".encode()
        shown = "Basic " + base64.b64encode(login).decode("ascii")
        return await access.decide(replace(asker, authorization=shown))

    def _locate(self, host: str | None, name: str) -> Iterator[Wanted]:
        """The repositories that a name may mean on this host: alone, and with an ``ns``."""
        if not is_repository_name(name):
            return
        table = self.gatekeeper.table
        if table.is_admin_host(host):
            table, host = table.view(), None
        queries: list[dict[str, list[str]]] = [{}, *({"ns": [each]} for each in table.upstreams)]
        for query in queries:
            try:
                route = resolve(table, host, Target(TargetKind.TAGS, name=name, query=query))
            except RegistryError:
                continue
            yield Wanted(route.upstream, route.repository, name)


def _fields(request: Request) -> Fields:
    """The query of a GET, the form of a POST."""
    if request.method not in METHODS:
        raise NameUnknownError("there is nothing under this path")
    if request.method == b"POST":
        kinds = request.field_lines(b"content-type")
        if [kind.partition(";")[0].strip().lower() for kind in kinds] != [_FORM]:
            raise BadTokenRequestError(f"the body must be {_FORM}")
        encoded = _body(request)
    else:
        encoded = request.uri.partition(b"?")[2]
    try:
        text = encoded.decode("ascii")
        return parse_qs(text, max_num_fields=MOST_FIELDS, errors="strict", keep_blank_values=True)
    except ValueError:
        raise BadTokenRequestError("the fields cannot be read") from None


def _body(request: Request) -> bytes:
    """The whole body, whose size the connection has limited."""
    if request.content is None:
        return b""
    request.content.seek(0)
    body: bytes = request.content.read()
    return body


def _one(fields: Fields, name: str) -> str:
    """A field that may occur once; "" if it is missing."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise BadTokenRequestError(f"{name} may stand only once")
    return values[0] if values else ""
