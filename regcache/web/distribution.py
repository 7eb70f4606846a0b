"""Decides what answers a request on a listener: the distribution API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regcache.cache.policy import Upstream
from regcache.errors import NameUnknownError, UnsupportedError
from regcache.references import Kind, Target, parse_target
from regcache.web.blobs import BlobHandler
from regcache.web.hosts import Route, RoutingTable, resolve, resolve_namespace
from regcache.web.listings import ListingHandler, Page
from regcache.web.manifests import ManifestHandler
from regcache.web.request import Request
from regcache.web.respond import JSON_TYPE, send_body, set_header

_READ = frozenset({b"GET", b"HEAD"})
_PAGED = frozenset({Kind.TAGS, Kind.CATALOG})


@dataclass(frozen=True, slots=True)
class Distribution:
    """The dispatcher of every listener that serves clients."""

    table: RoutingTable
    upstreams: Mapping[str, Upstream]
    manifests: ManifestHandler
    blobs: BlobHandler
    listings: ListingHandler

    def __call__(self, request: Request) -> Any:
        """Answer, now or later.

        :raises RegistryError: for what needs no upstream to be refused.
        """
        if request.method not in _READ:
            raise UnsupportedError("this is a read-only cache: only GET and HEAD")
        target = parse_target(request.uri)
        facts = request.facts
        facts.kind = _KINDS.get(target.kind, "other")
        facts.repository, facts.reference = target.name, target.reference
        if target.kind is Kind.PING:
            send_body(request, b"{}", JSON_TYPE)
            return None
        if target.kind is Kind.UPLOAD:
            raise UnsupportedError("this is a read-only cache: nothing can be uploaded")
        if target.kind is Kind.OTHER:
            raise NameUnknownError("there is nothing under this path")
        if target.kind in _PAGED:
            Page.of(target)  # what breaks the grammar is refused before it is routed
        if target.kind is Kind.CATALOG:
            upstream = resolve_namespace(self.table, request.hostname, target)
            facts.upstream = upstream or ""
            return self.listings.answer_catalog(request, self.upstreams, upstream, target)
        return self._answer(request, target)

    def _answer(self, request: Request, target: Target) -> Any:
        route = resolve(self.table, request.hostname, target)
        request.facts.upstream, request.facts.repository = route.upstream, route.repository
        if route.namespace is not None:
            set_header(request, "OCI-Namespace", route.namespace)
        return self._handle(request, self.upstreams[route.upstream], route, target)

    def _handle(self, request: Request, upstream: Upstream, route: Route, target: Target) -> Any:
        if target.kind is Kind.MANIFEST:
            return self.manifests.answer(request, upstream, route, target.reference)
        if target.kind is Kind.BLOB:
            return self.blobs.answer(request, upstream, route, target.reference)
        if target.kind is Kind.TAGS:
            return self.listings.answer_tags(request, upstream, route, target)
        return self.listings.answer_referrers(request, upstream, route, target)


_KINDS = {
    Kind.PING: "ping",
    Kind.MANIFEST: "manifest",
    Kind.BLOB: "blob",
    Kind.TAGS: "tags",
    Kind.REFERRERS: "referrers",
    Kind.CATALOG: "catalog",
}
