"""What the daemon finds of itself and its surroundings."""

from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred

from regcache.admin.requests.bypassing import GRACE, ClientCounts
from regcache.admin_reloads import Reloads
from regcache.config.loading import loads
from regcache.diagnosis import Diagnosis
from regcache.doctor.findings import Finding
from tests.admin.requests.rows import row
from tests.test_admin_api import OverMemoryCase
from tests.test_in_force import OLD
from tests.test_upstream_examination import FakeImages
from tests.upstream.network import response

GIB = 1024**3


class FakeReloader:
    """The reloader, as far as it is asked."""

    last_error: tuple[float, list[str]] | None = None


class DiagnosisTests(OverMemoryCase):
    """One upstream, one listener, a disk with room."""

    def setUp(self) -> None:
        super().setUp()
        self.reloader: Any = FakeReloader()
        images: Any = FakeImages(None)
        self.room = room = Mock(free=50 * GIB, used=GIB, beyond_file_system="")
        self.evictor = Mock(refusal="")
        room.min_free.return_value, room.max_size.return_value = GIB, 100 * GIB
        for name, part in (
            ("ledger", room),
            ("evictor", self.evictor),
            ("space", Mock(problem="")),
            ("shown_images", images),
        ):
            object.__setattr__(self.engine, name, part)
        self.engine.index.problem = ""
        self.clients = ClientCounts()
        self.current = self.start(self.build())
        loaded = loads("", "regcache.yml", {})
        reloads = Reloads(lambda: loaded, lambda: self.reloader)
        self.diagnosis = Diagnosis(self.engine, self.current, reloads, lambda: self.clients)
        self.serve(OLD, lambda seen: response(200, b"{}"))
        self.network.serve("127.0.0.1", 5000, lambda seen: None)

    def begin(self, asks: bool) -> "Deferred[Any]":
        """Look."""
        return Deferred.fromCoroutine(self.diagnosis.examine(asks))

    def look(self, asks: bool = False) -> dict[str, Finding]:
        """What is found, by what was looked at."""
        looking = self.begin(asks)
        self.network.settle()
        self.network.pass_time(4)
        return {each.check: each for each in self.successResultOf(looking)}

    def levels(self, asks: bool = False) -> dict[str, str]:
        """How well it is."""
        return {check: each.level.value for check, each in self.look(asks).items()}

    def test_disk(self) -> None:
        """What is odd about the limits is told, and before that why something was refused."""
        self.room.beyond_file_system = "the limit is larger than the disk"
        self.assertIn("larger than the disk", self.look()["disk"].text)
        self.evictor.refusal = "there is no space for it"
        self.assertIn("no space for it", self.look()["disk"].text)

    def test_quiet(self) -> None:
        """Without asking, what is known is told, and nothing reaches an upstream."""
        asked: list[Any] = []
        self.serve(OLD, lambda seen: asked.append(seen))
        found = self.levels()
        self.assertEqual((found["corp"], found["clients"], found["ports"]), ("ok", "ok", "ok"))
        self.assertNotIn("clock", found)
        self.assertEqual(asked, [])

    def test_asking(self) -> None:
        """The upstreams are asked, and their clock is compared."""
        found = self.look(asks=True)
        self.assertIn("/v2/", found["corp"].text)
        self.assertEqual(found["clock"].level.value, "look")

    def test_shared(self) -> None:
        """Who asks meanwhile gets the same answer, and the upstream is asked once."""
        asked: list[str] = []

        def answer(seen: Any) -> bytes:
            asked.append(seen.path)
            return response(200, b"{}")

        self.serve(OLD, answer)
        both = [self.begin(True), self.begin(True)]
        self.network.settle()
        self.network.pass_time(1)
        one, other = (self.successResultOf(each) for each in both)
        self.assertIs(one, other)
        self.assertEqual(asked, ["/v2/"])

    def test_silent_port(self) -> None:
        """A listener that takes no connections is bad."""
        self.network.serve("127.0.0.1", 5000, None)
        found = self.look()
        self.assertEqual(found["ports"].level.value, "bad")

    def test_refused_file(self) -> None:
        """A file that is not in force is bad."""
        self.reloader.last_error = (1.0, ["regcache.yml:1: nonsense: unknown key"])
        self.assertIn("nonsense", self.look()["configuration"].text)

    def test_clients(self) -> None:
        """Who passes by is named, with what it is."""
        then = self.network.seconds() - GRACE
        self.clients.take([row(peer="10.0.0.7", arrived=then, status=401, outcome="denied")])
        found = self.look()["clients"]
        self.assertEqual(found.level.value, "look")
        self.assertIn("10.0.0.7 (docker/27)", found.text)
        self.assertEqual(found.fix, "regcachectl client-config docker")
