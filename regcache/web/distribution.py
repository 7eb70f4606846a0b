"""Routes the requests on a listener to their handlers: the distribution API."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.access.grants import Action
from regcache.access.principals import Decision, Wanted
from regcache.bounded import BoundedTable
from regcache.errors import NameUnknownError, UnsupportedError
from regcache.identity import Repository, UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.references import Target, TargetKind, parse_target
from regcache.web.blob_handler import BlobHandler
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import Route, RoutingTable, resolve, resolve_namespace
from regcache.web.listing_handler import ListingHandler, Page
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.removal_handler import RemovalHandler
from regcache.web.request import Request
from regcache.web.respond import JSON_TYPE, send_body, set_header
from regcache.web.token_handler import PATH as TOKEN_PATH
from regcache.web.token_handler import TokenHandler

_READ = frozenset({b"GET", b"HEAD"})
_PAGED = frozenset({TargetKind.TAGS, TargetKind.CATALOG})
_REMOVED = frozenset({TargetKind.MANIFEST, TargetKind.BLOB})
_ROUTED = frozenset({TargetKind.MANIFEST, TargetKind.BLOB, TargetKind.TAGS, TargetKind.REFERRERS})

#: Memory for parsed and routed targets, so that frequent ones are not parsed again (bytes).
MEMORY = 2 * 1024 * 1024
#: What one takes besides its text (bytes).
OVERHEAD = 1024
COPIES = 6


@dataclass(frozen=True, slots=True)
class Resolution:
    """The meaning of a target under a host, by the routing table alone.

    :ivar path: of the target. Equal ones are one object, since many records keep it.
    """

    target: Target
    route: Route
    repository: Repository
    wanted: Wanted
    _: KW_ONLY
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The dispatcher of every listener that serves clients.

    :ivar upstreams: the upstream of each name in the routing table.
    :ivar gatekeeper: decides who may have what; None if access is not restricted.
    :ivar realm: gives our own tokens; None if none are needed.
    :ivar removals: removes things; None if there is no grant to delete.
    :ivar resolved: recently resolved targets, by host name and target.
    """

    table: RoutingTable
    upstreams: Mapping[str, UpstreamIdentity]
    manifests: ManifestHandler
    blobs: BlobHandler
    listings: ListingHandler
    _: KW_ONLY
    gatekeeper: Gatekeeper | None = None
    realm: TokenHandler | None = None
    removals: RemovalHandler | None = None
    resolved: BoundedTable[tuple[str | None, bytes], Resolution] = field(
        default_factory=lambda: BoundedTable(MEMORY)
    )

    def __call__(self, request: Request) -> Any:
        """Answer a request, now or later.

        :raises RegistryError: if it is refused without asking an upstream.
        """
        if self.realm is not None and request.path == TOKEN_PATH:
            return self.realm.answer(request)
        if request.method not in _READ:
            return self._answer_change(request)
        resolution = self.resolved.get((request.hostname, request.uri))
        if resolution is None:
            target = parse_target(request.uri)
            _note_target(request, target)
            if target.kind not in _ROUTED:
                return self._answer_other(request, target)
            resolution = self._resolve(request, target)
        else:
            request.path = resolution.path
            _note_target(request, resolution.target)
        return self._answer(request, resolution)

    def _answer_change(self, request: Request) -> Any:
        """Answer a method other than GET and HEAD: only DELETE is possible, if anyone may delete.

        :raises UnsupportedError: for everything else.
        """
        if request.method != b"DELETE" or self.removals is None or self.gatekeeper is None:
            raise UnsupportedError("this is a read-only cache: only GET and HEAD")
        target = parse_target(request.uri)
        _note_target(request, target)
        if target.kind is TargetKind.OTHER:
            raise NameUnknownError("there is nothing under this path")
        if target.kind not in _REMOVED:
            raise UnsupportedError("only manifests and blobs can be deleted")
        return self._remove(request, self._resolve(request, target), self.removals)

    async def _remove(
        self, request: Request, resolution: Resolution, removals: RemovalHandler
    ) -> None:
        """Remove something for a client that may do that."""
        self._note_route(request, resolution.route)
        if self.gatekeeper is not None:
            decision = await self.gatekeeper.decide(request)
            self.gatekeeper.admit(request, decision, resolution.wanted, Action.DELETE)
        await removals.answer(request, resolution.repository, resolution.target)

    def _answer_other(self, request: Request, target: Target) -> Any:
        """Answer a request that is not about a repository."""
        if target.kind is TargetKind.PING:
            return self._answer_ping(request)
        if target.kind is TargetKind.UPLOAD:
            raise UnsupportedError("this is a read-only cache: nothing can be uploaded")
        if target.kind is TargetKind.OTHER:
            raise NameUnknownError("there is nothing under this path")
        _check_page(target)
        upstream = resolve_namespace(self.table, request.hostname, target)
        request.facts.upstream = upstream or ""
        return self._answer_catalog(request, upstream, target)

    def _answer_ping(self, request: Request) -> Any:
        if self.gatekeeper is None:
            return send_body(request, b"{}", JSON_TYPE)
        decision = self.gatekeeper.at_once(request)
        if decision is None:
            return self._ping_later(request, self.gatekeeper)
        return self._ping(request, self.gatekeeper, decision)

    async def _ping_later(self, request: Request, gatekeeper: Gatekeeper) -> None:
        self._ping(request, gatekeeper, await gatekeeper.decide(request))

    def _ping(self, request: Request, gatekeeper: Gatekeeper, decision: Decision) -> None:
        gatekeeper.admit_ping(request, decision)
        send_body(request, b"{}", JSON_TYPE)

    async def _answer_catalog(self, request: Request, upstream: str | None, target: Target) -> None:
        """Answer with the cached repositories that this client may pull."""
        decision = None
        if self.gatekeeper is not None:
            decision = await self.gatekeeper.decide(request)
            self.gatekeeper.admit_listing(request, decision, upstream or "")
        await self.listings.answer_catalog(
            request, self.upstreams, upstream, target, decision=decision
        )

    def _resolve(self, request: Request, target: Target) -> Resolution:
        _check_page(target)
        route = resolve(self.table, request.hostname, target)
        repository = Repository(self.upstreams[route.upstream], route.repository)
        wanted = Wanted(route.upstream, route.repository, target.name)
        resolution = Resolution(target, route, repository, wanted, path=request.path)
        weight = OVERHEAD + COPIES * len(request.uri)
        self.resolved.put((request.hostname, request.uri), resolution, weight)
        return resolution

    def _answer(self, request: Request, resolution: Resolution) -> Any:
        target = resolution.target
        self._note_route(request, resolution.route)
        gatekeeper = self.gatekeeper
        if gatekeeper is not None:
            decision = gatekeeper.at_once(request)
            if decision is None:
                return self._answer_later(request, resolution, gatekeeper)
            gatekeeper.admit(request, decision, resolution.wanted)
        return self._handle(request, resolution.repository, target)

    def _note_route(self, request: Request, route: Route) -> None:
        request.facts.upstream, request.facts.repository = route.upstream, route.repository
        if route.namespace is not None:
            set_header(request, "OCI-Namespace", route.namespace)

    async def _answer_later(
        self, request: Request, resolution: Resolution, gatekeeper: Gatekeeper
    ) -> None:
        """Answer after the credentials were checked."""
        decision = await gatekeeper.decide(request)
        gatekeeper.admit(request, decision, resolution.wanted)
        answering = self._handle(request, resolution.repository, resolution.target)
        if answering is not None:
            await answering

    def _handle(self, request: Request, repository: Repository, target: Target) -> Any:
        if target.kind is TargetKind.MANIFEST:
            return self.manifests.answer(request, repository, target.reference)
        if target.kind is TargetKind.BLOB:
            return self.blobs.answer(request, repository, target.reference)
        if target.kind is TargetKind.TAGS:
            return self.listings.answer_tags(request, repository, target)
        return self.listings.answer_referrers(request, repository, target)


def _note_target(request: Request, target: Target) -> None:
    facts = request.facts
    facts.kind = _KINDS.get(target.kind, "other")
    facts.repository, facts.reference = target.name, target.reference


def _check_page(target: Target) -> None:
    """Refuse a malformed page before the target is routed."""
    if target.kind in _PAGED:
        Page.of(target)


_KINDS = {
    TargetKind.PING: "ping",
    TargetKind.MANIFEST: "manifest",
    TargetKind.BLOB: "blob",
    TargetKind.TAGS: "tags",
    TargetKind.REFERRERS: "referrers",
    TargetKind.CATALOG: "catalog",
}
