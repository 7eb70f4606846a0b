"""Listeners that another configuration changes: the rows of the table at the top of the module."""

import errno
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.listener_set import BuiltListener, ListenerSet
from regcache.web import listeners
from regcache.web.listener_spec import ListenError, ListenerSpec
from regcache.web.request import Request
from regcache.web.respond import send_text
from regcache.web.site import ConnectionLimits
from tests.support.web_client import MemoryClient, make_site
from tests.web.test_listeners import FakeReactor

PLAIN, OTHER = "tcp:5000:interface=127.0.0.1", "tcp:5002:interface=127.0.0.1"


class ListenerSetTests(SynchronousTestCase):
    """One listener at first, on port 5000."""

    def setUp(self) -> None:
        self.reactor: Any = FakeReactor()
        self.patch(listeners, "bind_tcp", self.reactor.bind)
        self.events: list[str] = []
        self.first = self.built(PLAIN, "first")
        self.listeners = ListenerSet(self.reactor, [self.first])
        self.listeners.privilegedStartService()
        self.listeners.startService()

    def built(self, endpoint: str, says: str, *watchers: Service) -> BuiltListener:
        """A listener whose answers say something."""
        self.held: list[Request] = []

        def answer(request: Request) -> Any:
            if request.path == b"/held":
                self.held.append(request)
                return Deferred()
            send_text(request, says)
            return None

        site = make_site(answer)
        return BuiltListener(ListenerSpec(endpoint, site), site, says, watchers)

    def follow(self, wanted: list[str], *built: BuiltListener) -> "Deferred[None]":
        """Have other listeners."""
        return Deferred.fromCoroutine(
            self.listeners.follow(wanted, built, lambda: self.events.append("taken"))
        )

    def open_ports(self) -> list[int]:
        """Where something listens."""
        pairs = zip(self.reactor.opened, self.reactor.ports, strict=True)
        return [number for (_, number, _), port in pairs if not port.stopped]

    def says(self, number: int) -> str:
        """What a new connection to a port is answered."""
        pairs = zip(self.reactor.opened, self.reactor.ports, strict=True)
        (factory,) = [one[2] for one, port in pairs if one[1] == number and not port.stopped]
        return MemoryClient(factory).request("GET", "/").answer().body.decode()

    def test_same(self) -> None:
        """One that stays has its socket, its site, and the limits that are new."""
        self.successResultOf(self.follow([PLAIN]))
        limits = ConnectionLimits(idle=7.0)
        self.listeners.limit(limits)
        self.assertEqual((self.open_ports(), self.says(5000)), ([5000], "first"))
        self.assertIs(self.first.site.limits, limits)
        self.assertEqual(self.events, ["taken"])

    def test_added_and_removed(self) -> None:
        """One that is new is open when all else is taken; one that goes is closed."""
        self.successResultOf(self.follow([PLAIN, OTHER], self.built(OTHER, "other")))
        self.assertEqual(self.open_ports(), [5000, 5002])
        self.successResultOf(self.follow([OTHER]))
        self.assertEqual((self.open_ports(), self.says(5002)), ([5002], "other"))
        self.assertEqual(list(self.listeners.options), [OTHER])
        self.assertNotIn(self.first.site, self.listeners.sites)

    def test_changed(self) -> None:
        """One with other options keeps its socket: what is open ends after its present answer."""
        held = MemoryClient(self.first.site).request("GET", "/held")
        (request,) = self.held
        idle = MemoryClient(self.first.site)
        idle.request("GET", "/").answer()
        self.successResultOf(self.follow([PLAIN], self.built(PLAIN, "second")))
        self.assertEqual((self.open_ports(), self.says(5000)), ([5000], "second"))
        self.assertEqual(len(self.reactor.opened), 1)
        self.assertTrue(idle.transport.disconnecting)
        self.assertFalse(held.transport.disconnecting)
        self.assertIn(self.first.site, self.listeners.sites)
        send_text(request, "done")
        self.assertEqual(held.answer().body, b"done")
        self.assertTrue(held.transport.disconnecting)
        held.leave()
        idle.leave()
        self.assertNotIn(self.first.site, self.listeners.sites)

    def test_cannot_open(self) -> None:
        """Where one cannot be opened nothing changes."""
        self.reactor.faults["127.0.0.1", 5002] = errno.EADDRINUSE
        self.failureResultOf(self.follow([PLAIN, OTHER], self.built(OTHER, "other")), ListenError)
        self.assertEqual((self.events, self.open_ports()), ([], [5000]))
        self.assertEqual(list(self.listeners.options), [PLAIN])

    def test_own_address(self) -> None:
        """What is in the way of a new one, and goes, is closed first; it is back if that fails."""
        self.reactor.faults["", 5000] = errno.EADDRINUSE
        wanted = "tcp:5000"
        self.failureResultOf(self.follow([wanted], self.built(wanted, "other")), ListenError)
        self.assertEqual((self.events, self.open_ports()), ([], [5000]))
        self.assertEqual(self.says(5000), "first")
        del self.reactor.faults["", 5000]
        bind = self.reactor.bind

        def in_use(interface: str, number: int) -> Any:
            if interface == "" and self.open_ports():
                raise OSError(errno.EADDRINUSE, "in use")
            return bind(interface, number)

        self.patch(listeners, "bind_tcp", in_use)
        self.successResultOf(self.follow([wanted], self.built(wanted, "other")))
        self.assertEqual((self.open_ports(), self.says(5000)), ([5000], "other"))

    def test_watchers(self) -> None:
        """Services of a listener run as long as it is there."""
        self.listeners.watchers.startService()
        one, two = Service(), Service()
        self.successResultOf(self.follow([PLAIN, OTHER], self.built(OTHER, "other", one)))
        self.assertTrue(one.running)
        self.successResultOf(self.follow([PLAIN, OTHER], self.built(OTHER, "another", two)))
        self.assertEqual((one.running, two.running), (0, 1))
        self.successResultOf(self.follow([PLAIN]))
        self.assertFalse(two.running)

    def test_stop(self) -> None:
        """A stop closes all of them, whenever they came."""
        self.successResultOf(self.follow([PLAIN, OTHER], self.built(OTHER, "other")))
        self.listeners.stopService()
        self.assertEqual((self.open_ports(), self.listeners.closing), ([], True))
