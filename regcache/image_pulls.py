"""What the API pulls, pins and refreshes, by the configuration in force: a part of the root."""

from regcache.admin.api.call_problems import ForbiddenProblem, UnknownUpstreamProblem
from regcache.admin.api.kinds import Named
from regcache.admin.api.pull_calls import Pull, RefreshedTag
from regcache.cache.warming import Warming
from regcache.engine import Engine
from regcache.errors import NameUnknownError
from regcache.identity import Repository
from regcache.in_force import CurrentConfiguration
from regcache.pins import Pin
from regcache.web.hosts import permitted_name


class ImagePulls:
    """Does what the calls of :mod:`regcache.admin.api.pull_calls` are for."""

    def __init__(self, engine: Engine, current: CurrentConfiguration) -> None:
        self._engine = engine
        self._current = current

    def find(self, named: Named) -> Repository:
        """A repository by its name.

        :raises UnknownUpstreamProblem: if no upstream has this name.
        :raises ForbiddenProblem: if it is none that clients may have.
        """
        in_force = self._current.in_force
        identity = in_force.upstreams.get(named.upstream)
        if identity is None:
            raise UnknownUpstreamProblem(named.upstream)
        try:
            name = permitted_name(in_force.table.upstreams[named.upstream], named.repository)
        except NameUnknownError:
            keys = f"upstreams.{named.upstream}.allow and deny"
            raise ForbiddenProblem(f"{keys} leave this repository out") from None
        return Repository(identity, name)

    @property
    def pull(self) -> Pull:
        """Fetches images, by the configuration that is in force now, to its end."""
        engine, cache = self._engine, self._current.in_force.cache
        return Warming(cache, engine.downloads, engine.index, engine.parser).pull

    async def pin(self, repository: Repository, reference: str, by: str) -> None:
        """Pin a tag or digest."""
        pin = Pin(by, self._engine.reactor.seconds())
        await self._engine.index.pins.pin(repository, reference, pin)

    async def refresh(self, repository: Repository, tag: str) -> RefreshedTag:
        """Ask the upstream what a tag names now. :raises UpstreamFailure: if it does not say."""
        cache = self._current.in_force.cache
        before = await self._engine.index.tag(repository, tag)
        served = await cache.refresh_tag(repository, tag)
        was = None if before is None else str(before.digest)
        return RefreshedTag(str(served.manifest.digest), was, self._engine.reactor.seconds())
