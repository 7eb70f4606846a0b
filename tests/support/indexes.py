"""An index in memory, and pools that run the work of a real one when a test wants it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, execute, fail, maybeDeferred, succeed
from zope.interface import implementer

from regcache.digests import Digest
from regcache.facts import (
    ContentFacts,
    Descriptor,
    Link,
    Manifest,
    Subject,
    TagFact,
    Verdict,
    in_blocks,
)
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IIndex, IWorkPool
from regcache.media_types import INDEX_TYPES
from regcache.store.identities import predecessor


@implementer(IWorkPool)
class ImmediatePool:
    """Runs each job at once, in the caller's thread."""

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        return execute(function, *args)


@implementer(IWorkPool)
class HeldPool:
    """Keeps jobs until :meth:`release`, as a busy thread does.

    :ivar held: how many jobs wait.
    :ivar broken: what every job fails with at once, as in a pool that was stopped.
    """

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self._jobs: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    @property
    def held(self) -> int:
        return len(self._jobs)

    def run(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        if self.broken is not None:
            return fail(self.broken)
        done: Deferred[Any] = Deferred()
        self._jobs.append((done, function, args))
        return done

    def release(self) -> None:
        """Do all jobs, and those that they give rise to, in order."""
        while self._jobs:
            done, function, args = self._jobs.pop(0)
            maybeDeferred(function, *args).chainDeferred(done)


@dataclass(frozen=True, slots=True)
class HeldContent:
    """Content on disk: bytes, and Unix seconds of the last use."""

    digest: Digest
    size: int
    last_use: float


@implementer(IIndex)
class MemoryIndex:
    """Facts in dictionaries; every answer is there at once. It knows of no removals.

    :ivar write_failure: what ``record_*``, ``drop_tag`` and ``forget_content`` fail with, as
        on a full disk.
    :ivar fetched_by: for whom manifests were fetched.
    """

    def __init__(self) -> None:
        self.write_failure: Exception | None = None
        self.fetched_by: dict[Digest, str] = {}
        self._stored: dict[Digest, HeldContent] = {}
        self._sizes: dict[Digest, int] = {}
        self._media_types: dict[Digest, str] = {}
        self._public: set[Digest] = set()
        self._links: dict[Digest, dict[Repository, Link]] = {}
        self._mentions: dict[Digest, Sequence[Descriptor]] = {}
        self._subjects: dict[Digest, tuple[Digest, Descriptor]] = {}
        self._shown: dict[Repository, dict[Digest, None]] = {}
        self._tags: dict[Repository, dict[str, TagFact]] = {}
        self._verdicts: dict[Repository, Verdict] = {}
        self._upstreams: dict[str, list[UpstreamIdentity]] = {}
        self._closed: dict[Repository, float] = {}

    def _known(self, repository: Repository, noting: bool = False) -> Repository:
        """A repository under the key of its upstream, which it gets if something is noted."""
        upstream = repository.upstream
        seen = self._upstreams.setdefault(upstream.name, [])
        place = predecessor(upstream, seen)
        if noting:
            place = len(seen) if place is None else place
            seen[place : place + 1] = [upstream]
        return Repository(UpstreamIdentity(f"{upstream.name}#{place}"), repository.name)

    def _noted(self, repository: Repository) -> Repository:
        return self._known(repository, noting=True)

    def content(self, content: RepositoryContent) -> "Deferred[ContentFacts]":
        repository, digest = self._known(content.repository), content.digest
        links = self._links.get(digest, {})
        stored = self._stored.get(digest)
        return succeed(
            ContentFacts(
                size=stored.size if stored else None,
                media_type=self._media_types.get(digest, ""),
                public=digest in self._public,
                link=links.get(repository),
                upstream_linked=any(each.upstream == repository.upstream for each in links),
                mentioned_size=self._mentioned_size(repository, digest),
            )
        )

    def _mentioned_size(self, repository: Repository, digest: Digest) -> int | None:
        sizes = {
            mention.size
            for manifest in self._shown.get(repository, {})
            for mention in self._mentions.get(manifest, ())
            if mention.digest == digest and 0 <= mention.size < 2**63
        }
        if sizes and digest in self._sizes:
            return self._sizes[digest]
        return sizes.pop() if len(sizes) == 1 else None

    def tag(self, repository: Repository, tag: str) -> "Deferred[TagFact | None]":
        return succeed(self._tags.get(self._known(repository), {}).get(tag))

    def record_manifest(
        self,
        repository: Repository,
        manifest: Manifest,
        descriptors: Sequence[Descriptor],
        *,
        subject: Subject | None,
        credentials: str,
        now: float,
        began: int | None = None,
        asked_by: str = "",
    ) -> "Deferred[None]":
        def change() -> None:
            digest = manifest.digest
            self._store(digest, len(manifest.content), not credentials, now)
            self._media_types[digest] = manifest.media_type
            self._mentions[digest] = tuple(descriptors)
            self.fetched_by[digest] = asked_by
            if subject is not None:
                self._note_subject(manifest, subject)
            self._link(RepositoryContent(repository, digest), credentials, now)

        return self._write(change)

    def _note_subject(self, manifest: Manifest, subject: Subject) -> None:
        referrer = Descriptor(
            manifest.digest,
            len(manifest.content),
            manifest.media_type,
            artifact_type=subject.artifact_type,
            annotations=subject.annotations,
        )
        self._subjects[manifest.digest] = (subject.digest, referrer)

    def record_tag(
        self,
        repository: Repository,
        tag: str,
        digest: Digest,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        def change() -> None:
            self._tags.setdefault(self._noted(repository), {})[tag] = TagFact(digest, now)

        return self._write(change)

    def drop_tag(self, repository: Repository, tag: str) -> "Deferred[None]":
        return self._write(lambda: self._tags.get(self._known(repository), {}).pop(tag, None))

    def record_blob(
        self,
        content: RepositoryContent,
        size: int,
        *,
        credentials: str,
        public: bool,
        now: float,
        began: int | None = None,
    ) -> "Deferred[None]":
        def change() -> None:
            self._store(content.digest, size, public, now)
            self._link(content, credentials, now)

        return self._write(change)

    def record_stored(self, digest: Digest, size: int, now: float) -> "Deferred[None]":
        return self._write(lambda: self._store(digest, size, False, now))

    def record_size(self, digest: Digest, size: int) -> "Deferred[None]":
        return self._write(lambda: self._sizes.update({digest: size}))

    def record_link(
        self,
        content: RepositoryContent,
        credentials: str,
        now: float,
        *,
        began: int | None = None,
    ) -> "Deferred[None]":
        return self._write(lambda: self._link(content, credentials, now))

    def forget_content(self, digest: Digest) -> "Deferred[None]":
        def change() -> None:
            for facts in (self._stored, self._media_types, self._mentions, self._subjects):
                facts.pop(digest, None)
            for shown in self._shown.values():
                shown.pop(digest, None)

        return self._write(change)

    def verdict(self, repository: Repository) -> "Deferred[Verdict | None]":
        return succeed(self._verdicts.get(self._known(repository)))

    def record_verdict(self, repository: Repository, public: bool, now: float) -> "Deferred[None]":
        def change() -> None:
            self._verdicts[self._noted(repository)] = Verdict(public, now)

        return self._write(change)

    def closed_since(self, repository: Repository) -> "Deferred[float | None]":
        return succeed(self._closed.get(self._known(repository)))

    def record_closed(self, repository: Repository, since: float | None) -> "Deferred[None]":
        def change() -> None:
            key = self._known(repository)
            linked = any(key in links for links in self._links.values())
            if since is None:
                self._closed.pop(key, None)
            elif linked or key in self._tags:
                self._closed[key] = since

        return self._write(change)

    def mentioning(self, content: RepositoryContent) -> "Deferred[list[Link]]":
        known = self._known(content.repository)
        links = [
            replace(self._links[manifest][known], credentials="")
            if manifest in self._public
            else self._links[manifest][known]
            for manifest in self._shown.get(known, {})
            if any(each.digest == content.digest for each in self._mentions.get(manifest, ()))
        ]
        return succeed(links)

    def image_size(self, content: RepositoryContent, enough: int) -> "Deferred[int | None]":
        sizes = [
            sum(each.size for each in self._mentions[manifest])
            for manifest in self._shown.get(self._known(content.repository), {})
            if any(each.digest == content.digest for each in self._mentions.get(manifest, ()))
            and self._media_types[manifest] not in INDEX_TYPES
        ]
        return succeed(min(sizes, default=None))

    def known_manifests(self, repository: Repository) -> "Deferred[list[Digest]]":
        known = self._known(repository)
        shown = {
            digest: links[known].proved_at
            for digest, links in self._links.items()
            if known in links and digest in self._stored and self._mentions.get(digest)
        }
        for fact in self._tags.get(known, {}).values():
            link = self._links.get(fact.digest, {}).get(known)
            if link is not None and fact.digest in self._media_types:
                last = max(link.proved_at, fact.validated_at, shown.get(fact.digest, 0.0))
                shown[fact.digest] = last
        return succeed(sorted(shown, key=lambda digest: -shown[digest])[:2])

    def tags(self, repository: Repository, after: str, limit: int) -> "Deferred[list[str]]":
        behind = [tag for tag in self._tags.get(self._known(repository), {}) if tag > after]
        return succeed(sorted(behind)[: max(0, limit)])

    def repositories(
        self, upstream: UpstreamIdentity, after: str, limit: int
    ) -> "Deferred[list[str]]":
        key = self._known(Repository(upstream, after)).upstream
        found = {
            repository.name
            for digest, links in self._links.items()
            if digest in self._stored
            for repository in links
            if repository.name > after and repository.upstream == key
        }
        return succeed(sorted(found)[: max(0, limit)])

    def referrers(self, subject: RepositoryContent) -> "Deferred[list[Descriptor]]":
        shown = self._shown.get(self._known(subject.repository), {})
        return succeed(
            [
                referrer
                for manifest, (about, referrer) in self._subjects.items()
                if about == subject.digest and manifest in shown
            ]
        )

    def touch(self, digest: Digest, now: float) -> None:
        stored = self._stored.get(digest)
        if stored is not None:
            self._stored[digest] = replace(stored, last_use=max(stored.last_use, now))

    def last_use(self, digest: Digest) -> float | None:
        """When stored content was used last."""
        stored = self._stored.get(digest)
        return None if stored is None else stored.last_use

    def occupied_bytes(self) -> "Deferred[int]":
        """As :meth:`regcache.store.index.SqliteIndex.occupied_bytes`."""
        return succeed(sum(in_blocks(each.size) for each in self._stored.values()))

    def close(self) -> "Deferred[None]":
        return succeed(None)

    def _write(self, change: Callable[[], object]) -> "Deferred[None]":
        if self.write_failure is not None:
            return fail(self.write_failure)
        change()
        return succeed(None)

    def _store(self, digest: Digest, size: int, public: bool, now: float) -> None:
        earlier = self._stored.get(digest)
        last_use = max(now, earlier.last_use) if earlier else now
        self._stored[digest] = HeldContent(digest, size, last_use)
        self._sizes[digest] = size
        if public:
            self._public.add(digest)

    def _link(self, content: RepositoryContent, credentials: str, now: float) -> None:
        repository, digest = self._noted(content.repository), content.digest
        self._links.setdefault(digest, {})[repository] = Link(now, credentials)
        if digest in self._mentions:
            self._shown.setdefault(repository, {})[digest] = None
