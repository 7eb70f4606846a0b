"""GET and HEAD of tags/list, referrers and _catalog, paged."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from regcache.access.grants import Action
from regcache.access.principals import Decision
from regcache.cache.content_answers import ContentAnswers
from regcache.cache.listings import LOCAL
from regcache.digests import Digest
from regcache.errors import PaginationInvalidError
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.media_types import OCI_INDEX
from regcache.references import Target
from regcache.web.catalog import Shelf, place, shelves
from regcache.web.content_headers import set_list_headers
from regcache.web.hosts import RoutingTable
from regcache.web.request import Request
from regcache.web.respond import send_body, send_json, set_header

#: How many entries a page has at most, and if the client asks for no number.
MOST_ENTRIES = 1000
#: How many names are read from the index at a time, at least.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that is wanted: ``n`` entries after ``last``."""

    n: int
    last: str

    @classmethod
    def of(cls, target: Target) -> "Page":
        """Read ``n`` and ``last``; ``n`` is clamped, since some clients ask for 10,000.

        :raises PaginationInvalidError: if ``n`` is no number.
        """
        numbers = target.query.get("n", [])
        if len(numbers) > 1 or not all(text.isascii() and text.isdigit() for text in numbers):
            raise PaginationInvalidError("n must be one whole number, 0 or more")
        wanted = numbers[0].lstrip("0")[:9] if numbers else str(MOST_ENTRIES)
        last = target.query.get("last", [""])
        return cls(min(int(wanted or "0"), MOST_ENTRIES), last[-1])


@dataclass(frozen=True, slots=True)
class ListingHandler:
    """Answers requests for lists."""

    cache: ContentAnswers
    table: RoutingTable

    async def answer_tags(self, request: Request, repository: Repository, target: Target) -> None:
        """The tags of a repository, under the name that the client used."""
        page = Page.of(target)
        found = await self.cache.tags(repository, page.last, page.n)
        set_list_headers(request, found.status)
        self._link(request, target, page, found.tags, more=found.more)
        send_json(request, {"name": target.name, "tags": found.tags})

    async def answer_referrers(
        self, request: Request, repository: Repository, target: Target
    ) -> None:
        """The referrers of a digest, filtered by ``artifactType``."""
        wanted = target.query.get("artifactType", [""])[-1]
        content = RepositoryContent(repository, Digest.parse(target.reference))
        found = await self.cache.referrers(content, wanted)
        if wanted:
            set_header(request, "OCI-Filters-Applied", "artifactType")
        set_list_headers(request, found.status)
        send_body(request, found.content, OCI_INDEX)

    async def answer_catalog(
        self,
        request: Request,
        upstreams: Mapping[str, UpstreamIdentity],
        named: str | None,
        target: Target,
        *,
        decision: Decision | None = None,
    ) -> None:
        """The cached repositories, under the names by which they are pulled here.

        :param named: the upstream that Host or ``ns`` name, if any.
        :param decision: about the client: only what it may pull is shown. None if access is not
            restricted.
        """
        page = Page.of(target)
        found = await self._catalog(
            upstreams, shelves(self.table, request.hostname, named), page, decision
        )
        shown = [name for _, name in found[: page.n]]
        set_list_headers(request, LOCAL)
        self._link(request, target, page, shown, more=len(found) > page.n)
        send_json(request, {"repositories": shown})

    async def _catalog(
        self,
        upstreams: Mapping[str, UpstreamIdentity],
        found: list[Shelf],
        page: Page,
        decision: Decision | None,
    ) -> list[tuple[str, str]]:
        """The places and names of a page, and one more if there is a next page."""
        last = place(found, page.last)
        entries: list[tuple[str, str]] = []
        for shelf in found:
            after = shelf.after(last)
            if after is None:
                continue
            names = await self._names(upstreams[shelf.upstream], after, page.n + 1, decision)
            entries.extend((shelf.key(name), shelf.shown(name)) for name in names)
        return sorted(entries)[: page.n + 1]

    async def _names(
        self, upstream: UpstreamIdentity, after: str, count: int, decision: Decision | None
    ) -> list[str]:
        """The next names of repositories that may be shown, at most ``count``."""
        shown: list[str] = []
        while len(shown) < count:
            names = await self.cache.repositories(upstream, after, max(count, _LOOKED_AT))
            shown.extend(_visible(names, upstream.name, decision))
            if len(names) < max(count, _LOOKED_AT):
                break
            after = names[-1]
        return shown[:count]

    def _link(
        self, request: Request, target: Target, page: Page, shown: Sequence[str], *, more: bool
    ) -> None:
        """Link to the next page (RFC 8288). It is relative, so it has neither host nor scheme."""
        if not more or not shown:
            return
        query = f"n={page.n}&last={quote(shown[-1], safe='')}"
        for namespace in target.query.get("ns", []):
            query += f"&ns={quote(namespace, safe='')}"
        set_header(request, "Link", f'<{target.path}?{query}>; rel="next"')


def _visible(names: Sequence[str], upstream: str, decision: Decision | None) -> Iterator[str]:
    if decision is None:
        yield from names
        return
    for name in names:
        if decision.grants_on(Action.PULL, upstream, name):
            yield name
