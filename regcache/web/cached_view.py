"""``/v2/`` for operators, and for any UI: what is cached, named ``<upstream>/<repository>``.

No upstream is asked. So it may show content that an upstream would refuse by now. Therefore it is
only for accounts with ``admin``; on loopback everybody may read it, but who logs in there has to
know the password, too.
"""

from collections.abc import Coroutine, Mapping
from dataclasses import KW_ONLY
from typing import Any

from regcache.access.grants import Action
from regcache.access.principals import Wanted
from regcache.errors import DeniedError, NameUnknownError, UnsupportedError
from regcache.identity import Repository, UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.references import Target, TargetKind, parse_target
from regcache.web.blob_handler import BlobHandler
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import Route, RoutingTable, resolve
from regcache.web.listing_handler import ListingHandler
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.removal_handler import RemovalHandler
from regcache.web.request import Request
from regcache.web.respond import JSON_TYPE, send_body

_READ = frozenset({b"GET", b"HEAD"})
_REMOVED = frozenset({TargetKind.MANIFEST, TargetKind.BLOB})


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedView:
    """The dispatcher of the view.

    :ivar table: of :meth:`RoutingTable.view`.
    :ivar removals: None if there is no grant to delete.
    :ivar gatekeeper: checks accounts; None if there are none.
    """

    table: RoutingTable
    upstreams: Mapping[str, UpstreamIdentity]
    manifests: ManifestHandler
    blobs: BlobHandler
    listings: ListingHandler
    _: KW_ONLY
    removals: RemovalHandler | None
    gatekeeper: Gatekeeper | None

    def for_operators(self, request: Request) -> Coroutine[Any, Any, None]:
        """Answer accounts with ``admin``."""
        return self._answer(request, read_by_all=False)

    def for_loopback(self, request: Request) -> Coroutine[Any, Any, None]:
        """Let everybody read, and accounts with ``admin`` remove."""
        return self._answer(request, read_by_all=True)

    async def _answer(self, request: Request, *, read_by_all: bool) -> None:
        removing = request.method == b"DELETE"
        if self.removals is None if removing else request.method not in _READ:
            raise UnsupportedError("this is a view of what is cached: only GET and HEAD")
        target = parse_target(request.uri)
        request.facts.kind = target.kind.value
        request.facts.repository, request.facts.reference = target.name, target.reference
        if target.kind is TargetKind.OTHER:
            raise NameUnknownError("there is nothing under this path")
        if target.kind is TargetKind.UPLOAD or (removing and target.kind not in _REMOVED):
            raise UnsupportedError("only manifests and blobs can be deleted, and nothing uploaded")
        try:
            route = resolve(self.table, None, target) if target.name else None
        except NameUnknownError:
            if removing or not read_by_all:  # which upstreams there are is not for everybody
                await self._admit(request, target, None)
            raise
        if removing or not read_by_all:
            await self._admit(request, target, route)
        elif self.gatekeeper is not None and request.field_lines(b"authorization"):
            await self._look_at_login(request, target, self.gatekeeper)
        if route is not None:
            await self._answer_content(request, target, route)
        elif target.kind is TargetKind.CATALOG:
            await self.listings.answer_catalog(request, self.upstreams, None, target)
        else:
            send_body(request, b"{}", JSON_TYPE)

    async def _admit(self, request: Request, target: Target, route: Route | None) -> None:
        """Let an account with ``admin`` pass, with a token as far as that goes.

        :raises RegistryError: for everybody else.
        """
        if self.gatekeeper is None:
            raise DeniedError("nobody may see this: access names no accounts")
        wanted = None
        if route is not None:
            wanted = Wanted(route.upstream, route.repository, target.name)
        action = Action.DELETE if request.method == b"DELETE" else Action.PULL
        decision = await self.gatekeeper.decide(request)
        listing = target.kind is TargetKind.CATALOG
        self.gatekeeper.admit_to_view(request, decision, action, None if listing else wanted)
        if listing and not decision.may_list:
            raise DeniedError("this token is not for the catalog")

    async def _look_at_login(
        self, request: Request, target: Target, gatekeeper: Gatekeeper
    ) -> None:
        """Refuse wrong credentials where no account is needed: a login is checked by ``/v2/``.

        :raises RegistryError: for a wrong login at ``/v2/``, and a wrong token everywhere.
        """
        decision = await gatekeeper.decide(request)
        request.facts.decided(decision)
        if decision.bad_token or (decision.wrong and target.kind is TargetKind.PING):
            raise gatekeeper.permission.no_login(decision, "an account is needed")

    async def _answer_content(self, request: Request, target: Target, route: Route) -> None:
        upstream = self.upstreams[route.upstream]
        request.facts.upstream, request.facts.repository = route.upstream, route.repository
        repository = Repository(upstream, route.repository)
        answering: Any
        if request.method == b"DELETE" and self.removals is not None:
            answering = self.removals.answer(request, repository, target)
        elif target.kind is TargetKind.MANIFEST:
            answering = self.manifests.answer(request, repository, target.reference)
        elif target.kind is TargetKind.BLOB:
            answering = self.blobs.answer(request, repository, target.reference)
        elif target.kind is TargetKind.TAGS:
            answering = self.listings.answer_tags(request, repository, target)
        else:
            answering = self.listings.answer_referrers(request, repository, target)
        if answering is not None:
            await answering
