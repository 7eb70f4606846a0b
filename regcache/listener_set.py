"""The listeners of the configuration in force, and how a reload changes them: a root part.

============================  ===============================================================
the new configuration …       what happens to the listener
============================  ===============================================================
does not change it            it stays, with the new limits
changes its options           its socket stays; new connections have the new options; open
                              ones are closed after their present answer
adds it                       it is opened before anything else changes; if that fails, the
                              whole configuration is refused
removes it                    its socket is closed; connections are closed after their present
                              answer; a socket of the service manager refuses clients
writes its address            the old socket is closed before the new one is opened; if that
differently (``443``,         fails, the old one is opened again
``tcp:443``)
============================  ===============================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from regcache.light_dataclass import dataclass
from regcache.web.listener_spec import ListenError, ListenerSpec
from regcache.web.listeners import Listeners
from regcache.web.passed_sockets import PassedSockets
from regcache.web.site import ConnectionLimits, Site

_log = Logger()


@dataclass(frozen=True, slots=True)
class BuiltListener:
    """One listener, and what belongs to it.

    :ivar options: if they differ, a reload replaces the listener at the same endpoint.
    """

    spec: ListenerSpec
    site: Site
    options: Hashable
    watchers: Sequence[Service] = ()

    @property
    def key(self) -> str:
        """Identifies it: its endpoint."""
        return str(self.spec.endpoint)


class ListenerSet(Service):
    """Opens, changes and closes listeners.

    :ivar sites: those of all listeners, and of removed ones that still have connections. Always the
        same list.
    :ivar watchers: the services that belong to the listeners.
    :ivar closing: the daemon is stopping.
    """

    def __init__(
        self,
        reactor: Any,
        first: Sequence[BuiltListener],
        passed: PassedSockets | None = None,
    ) -> None:
        """
        :param passed: the sockets that the service manager has passed.
        """
        self._reactor = reactor
        self._passed = passed or PassedSockets(reactor)
        self._present = {each.key: each for each in first}
        self._groups = [self._group(first)]
        self.sites = [each.site for each in first]
        self.watchers = MultiService()
        self.closing = False
        for built in first:
            self._watch(built)

    @property
    def options(self) -> dict[str, Hashable]:
        """The options of each listener, by its key."""
        return {key: each.options for key, each in self._present.items()}

    @property
    def specs(self) -> list[ListenerSpec]:
        """The specs of the present listeners."""
        return [each.spec for each in list(self._present.values())]

    def privilegedStartService(self) -> None:
        """Bind the first listeners. :raises ListenError: if one cannot be bound."""
        self._groups[0].privilegedStartService()

    def startService(self) -> None:
        """Open them. :raises ListenError: if one cannot be opened."""
        super().startService()
        self._groups[0].startService()
        self._passed.refuse_unused()

    def stopService(self) -> "Deferred[Any]":
        """Accept no new connections and no new configuration."""
        super().stopService()
        self.closing = True
        self._passed.stop()
        return DeferredList([each.stop_listening() for each in self._groups], consumeErrors=True)

    async def follow(
        self, wanted: Collection[str], built: Sequence[BuiltListener], then: Callable[[], None]
    ) -> None:
        """Change the listeners to those of another configuration: all of them, or none.

        :param wanted: the keys of all listeners afterwards.
        :param built: those that are new, or have other options.
        :param then: called once the new ones are open, before they answer anything.
        :raises ListenError: if one cannot be opened; then nothing has changed.
        """
        added = [each for each in built if each.key not in self._present]
        removed = [each for key, each in self._present.items() if key not in wanted]
        if added:
            self._groups.append(await self._opened(added, removed))
        then()
        for each in removed:
            self._close(each.spec)
            where = each.spec.left_over or each.spec.endpoint
            _log.info("not listening on {where} any more", where=where)
            self._retire(self._present.pop(each.key))
        for each in built:
            former = self._present.get(each.key)
            if former is not None:
                for group in self._groups:
                    group.replace(former.spec, each.spec)
                self._retire(former)
            self._present[each.key] = each
            self.sites.append(each.site)
            self._watch(each)
        self._groups = [each for each in self._groups if each.is_listening]
        self._passed.refuse_unused()

    def limit(self, limits: ConnectionLimits) -> None:
        """Apply other limits to all connections from now on."""
        for site in self.sites:
            site.follow(limits)

    async def _opened(
        self, added: Sequence[BuiltListener], removed: Sequence[BuiltListener]
    ) -> Listeners:
        """Open new listeners. :raises ListenError:"""
        group = self._group(added)
        try:
            group.open()
        except ListenError:
            if not removed:
                raise
        else:
            return group
        # A listener that is to be removed may have the address.
        for each in removed:
            await self._close(each.spec)
        if self.closing:
            raise ListenError("the daemon is stopping")
        try:
            group.open()
        except ListenError:
            again = self._group(removed)
            again.open()
            self._groups.append(again)
            raise
        return group

    def _group(self, built: Sequence[BuiltListener]) -> Listeners:
        specs = [each.spec for each in built]
        return Listeners(self._reactor, specs, passed=self._passed)

    def _close(self, spec: ListenerSpec) -> "Deferred[Any]":
        return DeferredList([each.close(spec) for each in self._groups], consumeErrors=True)

    def _retire(self, former: BuiltListener) -> None:
        """Close its connections after their present answers."""
        for watcher in former.watchers:
            watcher.disownServiceParent()
        site = former.site
        site.drain()
        site.when_idle().addCallback(lambda _: self.sites.remove(site))

    def _watch(self, built: BuiltListener) -> None:
        for watcher in built.watchers:
            watcher.setServiceParent(self.watchers)
