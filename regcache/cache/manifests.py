"""Manifests by digest: from memory, from the disk, or fetched once for all requests that wait.

The digest of a manifest is verified, and its type compared with its content, before a client
gets a byte of it. It never changes, so it is never fetched again.
"""

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.cache.forgetting import is_removed
from regcache.cache.image_sizes import ImageSizes
from regcache.cache.manifest_checker import ManifestChecker
from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.remembered_manifests import RememberedManifests
from regcache.cache.sight.rights import NotProvedError, Rights
from regcache.cache.sight.visibility import Visibility
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentFacts, Manifest
from regcache.generations import Generations
from regcache.interfaces import IBlobStore, ICacheEvents, IIndex
from regcache.manifest_body import MOST_BYTES, ManifestBody
from regcache.open_files import EXHAUSTED
from regcache.single_flight import Flights
from regcache.timings import present_timings


class ManifestCache:
    """Finds manifests by digest, and fetches them."""

    _log = Logger()

    def __init__(
        self,
        store: IBlobStore,
        index: IIndex,
        *,
        rights: Rights,
        visibility: Visibility,
        remembered: RememberedManifests,
        checker: ManifestChecker,
        sizes: ImageSizes,
        events: ICacheEvents,
        clock: IReactorTime,
        removed: Generations[Hashable],
    ) -> None:
        """:param removed: what operators removed. Requests that began before do not keep it."""
        self._store = store
        self._index = index
        self._rights = rights
        self._visibility = visibility
        self._remembered = remembered
        self._checker = checker
        self._sizes = sizes
        self._events = events
        self._clock = clock
        self._removed = removed
        self._flights: Flights[Manifest] = Flights(clock)

    async def admit(
        self, repository: ServedRepository, reference: str, by: float | None = None
    ) -> None:
        """Return if the repository may be shown; see :class:`Visibility`."""
        await self._visibility.admit_manifest(repository, reference, by)

    async def admit_fetch(self, repository: ServedRepository, reference: str) -> None:
        """Return if a manifest may be fetched with our credentials, and shown."""
        await self._visibility.admit_fetch_of_manifest(repository, reference)

    def confirm(self, repository: ServedRepository) -> None:
        """Check once more after a wait: what was found out meanwhile may forbid it now.

        :raises DeniedError: if the repository may not be shown any more.
        """
        self._visibility.confirm(repository)

    def at_once(self, repository: ServedRepository, digest: Digest) -> Manifest | None:
        """The manifest, if it is in memory and is known to be one that may be shown."""
        if not self._visibility.admits_at_once(repository):
            return None
        return self._remembered.find(repository.right(digest))

    async def cached(
        self, repository: ServedRepository, digest: Digest, by: float | None = None
    ) -> Manifest | None:
        """The manifest if it is here and the repository has, or proves, the right to it.

        :param by: Unix seconds at which the client is answered with what is known then.
        :raises UpstreamFailure: if the right has to be proved, and the upstream fails.
        """
        key, began = repository.right(digest), self._removed.current
        manifest = self._remembered.find(key)
        if manifest is not None:
            return manifest
        seen = self._store.removals.current
        facts = await self._index.content(repository.content(digest))
        if facts.size is None or not facts.media_type:
            return None
        proved = self._rights.entitled(facts, repository.upstream)
        if not proved:
            if facts.link is None:
                # The proof asks for something new with our credentials.
                await self.admit_fetch(repository, str(digest))
            try:
                proved = await self._rights.prove_manifest(repository, digest, facts, by)
            except NotProvedError:
                return None
        if proved and not is_removed(self._removed, key[0], began):
            self._remembered.add_right(key)
        return self._remembered.contents.get(digest) or await self._load(digest, facts, seen)

    async def _load(self, digest: Digest, facts: ContentFacts, seen: int) -> Manifest | None:
        """Read a manifest.

        :param seen: how much had been removed when the index was asked for ``facts``.
        """
        began = self._removed.current
        try:
            content = await self._store.load(digest, MOST_BYTES, facts.size)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            self._events.storage_error()
            self._log.warn("reading {digest} failed: {error}", digest=digest, error=error)
            return None
        if content is None:
            # Of what was evicted since, and may be here again, the index knows.
            if not self._store.removals.concerns(digest, seen):
                await self._forget_content(digest)
            return None
        manifest = Manifest(digest, facts.media_type, content)
        if not self._removed.concerns(digest, began):
            self._remembered.add(manifest)
        return manifest

    def is_fetching(self, repository: ServedRepository, reference: str) -> bool:
        """Whether it is being fetched at this moment."""
        return self._flights.under_way((repository.identity, reference))

    async def fetch(self, repository: ServedRepository, reference: str) -> Manifest:
        """Fetch a manifest by tag or digest, once for all requests that ask meanwhile.

        :raises UpstreamFailure: if the upstream does not give it, or gives a wrong one.
        :raises DeniedError: if the repository may not be shown.
        """
        key = (repository.identity, reference)
        return await self._flights.join(key, lambda: self._fetch(repository, reference))

    async def _fetch(self, repository: ServedRepository, reference: str) -> Manifest:
        began = self._removed.current
        await self.admit_fetch(repository, reference)
        answer = await repository.registry.get_manifest(repository.name, reference)
        if len(answer.content) > MOST_BYTES:
            raise UpstreamBadAnswer(repository.upstream.name, "the manifest is too large")
        digest, body = await self._checker.check(repository.upstream, reference, answer)
        manifest = Manifest(digest, body.media_type, answer.content)
        if not is_removed(self._removed, repository.content(digest), began):
            await self._keep(repository, manifest, body, answer.credentials)
        return manifest

    async def default_child(self, upstream: ServedUpstream, index: Manifest) -> Digest | None:
        """The manifest in an index for clients that take no index, if it has one.

        :raises UpstreamBadAnswer: if the index is not valid: earlier versions may have stored it.
        """
        known = self._remembered.child(index.digest)
        if known is not None:
            return known[0]
        body = await self._checker.parse(upstream, index)
        return self._remembered.add_child(index.digest, body)

    def known_child(self, index: Digest) -> Digest | None:
        """The same, if it is remembered."""
        known = self._remembered.child(index)
        return None if known is None else known[0]

    async def _keep(
        self,
        repository: ServedRepository,
        manifest: Manifest,
        body: ManifestBody,
        credentials: str,
    ) -> None:
        """Store a verified manifest. If that fails it is logged, and the manifest served anyway."""
        now, began = self._clock.seconds(), self._removed.current
        digest = manifest.digest
        self._remembered.add(manifest)
        if body.is_index:
            self._remembered.add_child(digest, body)
        self._remembered.add_right(repository.right(digest))
        try:
            await self._store.keep(digest, manifest.content)
            if is_removed(self._removed, repository.content(digest), began):
                return  # the removal waited until it was stored, and removes it now
            await self._index.record_manifest(
                repository.identity,
                manifest,
                body.descriptors,
                subject=body.subject,
                credentials=credentials,
                now=now,
                began=began,
                asked_by=present_timings().asked_by,
            )
        except OSError as error:
            self._events.storage_error()
            self._log.warn("storing {digest} failed: {error}", digest=digest, error=error)
            self._sizes.note_unrecorded(repository, body)

    async def _forget_content(self, digest: Digest) -> None:
        try:
            await self._index.forget_content(digest)
        except OSError as error:
            self._log.warn("forgetting {digest} failed: {error}", digest=digest, error=error)
