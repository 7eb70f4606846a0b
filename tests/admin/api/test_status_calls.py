"""GET status."""

from typing import Any

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.notices import Troubles
from regcache.admin.api.status_calls import GET_STATUS, DaemonFacts, DiskFacts, status_routes
from regcache.facts import IndexCounts
from regcache.upstream_health import UpstreamHealth
from tests.support.api import ALICE, ApiCase, BusyError
from tests.support.health import DOWN, LIMITED, UNASKED, health

NOW = 1_800_000_000.0
PULL = frozenset({Action.PULL})


class StatusCase(ApiCase):
    """A daemon that works."""

    def routes(self) -> list[CallRoute]:
        self.upstreams: list[UpstreamHealth] = [health("a.test"), health("b.test", UNASKED)]
        self.disk = DiskFacts(used=10, limit=100, partial=3, free=50)
        self.troubles = Troubles()
        self.counting: Any = IndexCounts(1, 2, 3)
        return status_routes(self.facts, self.counts, lambda: NOW)

    def facts(self) -> DaemonFacts:
        """What it knows of itself."""
        return DaemonFacts(
            version="1.2",
            title="here",
            started=NOW,
            config_loaded=NOW + 60,
            troubles=self.troubles,
            downloads=4,
            readers=5,
            disk=self.disk,
            upstreams=self.upstreams,
        )

    async def counts(self) -> IndexCounts:
        """What the index says."""
        if isinstance(self.counting, Exception):
            raise self.counting
        counted: IndexCounts = self.counting
        return counted

    def status(self, credentials: str = "") -> Any:
        """The answer."""
        return self.answered(GET_STATUS, self.get("status", credentials))


class StatusTests(StatusCase):
    """What is told."""

    def test_well(self) -> None:
        """Where there is nothing to say it works."""
        status = self.status()
        self.assertEqual(status["config_loaded"], "2027-01-15T08:01:00Z")
        self.assertEqual(
            (status["version"], status["title"], status["started"]),
            ("1.2", "here", "2027-01-15T08:00:00Z"),
        )
        self.assertEqual(
            status["verdict"], {"level": "ok", "code": "ok", "params": {"upstreams": 2}}
        )
        self.assertEqual(status["notices"], [])
        self.assertEqual(
            status["counts"],
            {
                "repositories": 1,
                "tags": 2,
                "blobs": 3,
                "downloads": 4,
                "readers": 5,
                "upstreams_ill": 0,
            },
        )

    def test_unknown(self) -> None:
        """What is not known is null, never 0."""
        self.disk = DiskFacts(used=0, limit=None, partial=0, free=None)
        status = self.status()
        for name in ("limit_bytes", "fs_free_bytes", "pinned_bytes", "by_age", "next_sweep"):
            self.assertIsNone(status["disk"][name], name)
        self.assertEqual(set(status["hour"].values()), {None})

    def test_disk(self) -> None:
        """What is known of the disk is told."""
        self.disk = DiskFacts(
            used=10,
            limit=100,
            partial=3,
            free=50,
            pinned=1,
            by_age=[(7, 5), (None, 4)],
            evictable=6,
            full_in_days=2.5,
            next_sweep=NOW,
        )
        disk = self.status()["disk"]
        self.assertEqual(
            disk["by_age"], [{"to_days": 7, "bytes": 5}, {"to_days": None, "bytes": 4}]
        )
        self.assertEqual((disk["pinned_bytes"], disk["evictable_bytes"]), (1, 6))

    def test_notices(self) -> None:
        """What is wrong is told, the worst first, and that is the verdict."""
        self.upstreams = [health("a.test", LIMITED), health("b.test", DOWN), health("c", ok=False)]
        self.troubles = Troubles(closed="no space is left", refused=True)
        status = self.status()
        told = [(each["level"], each["code"]) for each in status["notices"]]
        self.assertEqual(
            told,
            [
                ("bad", "upstream.down"),
                ("warn", "upstream.limited"),
                ("warn", "credentials.refused"),
                ("warn", "storage.closed"),
                ("warn", "storage.refused"),
            ],
        )
        self.assertEqual(
            status["verdict"],
            {"level": "bad", "code": "upstream.down", "params": {"upstream": "b.test"}},
        )
        self.assertEqual(status["counts"]["upstreams_ill"], 2)

    def test_troubles(self) -> None:
        """Each says what is needed to put it into words, and where more is."""
        day = 86_400.0
        self.troubles = Troubles(
            relaying_since=NOW,
            damaged=2,
            damaged_at=NOW,
            certificates={"a.cer": NOW + 15 * day, "b.cer": NOW + 13 * day, "c.cer": NOW - 1},
            config=(NOW, ["line 1: no", "line 2: no"]),
        )
        told = [(each["code"], each["params"], each["link"]) for each in self.status()["notices"]]
        now, storage = "2027-01-15T08:00:00Z", "#/storage"
        self.assertEqual(
            told,
            [
                ("certificate.ended", {"chain": "c.cer", "ends": "2027-01-15T07:59:59Z"}, None),
                ("storage.full", {"since": now}, storage),
                ("storage.damaged", {"count": 2, "last": now}, storage),
                ("certificate.ends", {"chain": "b.cer", "ends": "2027-01-28T08:00:00Z"}, None),
                ("config.refused", {"time": now, "text": "line 1: no\nline 2: no"}, None),
            ],
        )

    def test_index(self) -> None:
        """An index that is ill is told; one that does not answer is 503."""
        self.troubles = Troubles(index="it is in memory")
        self.assertEqual(self.status()["verdict"]["code"], "index.problem")
        self.counting = BusyError()
        self.assert_problem(self.get("status"), 503, "INDEX_BUSY")


class SightTests(StatusCase):
    """Who sees what."""

    rules = (Rule(frozenset({"alice"}), Grant(PULL, frozenset({"a.test"}))),)

    def test_sight(self) -> None:
        """Who sees a part only is told no sums, and nothing of other upstreams."""
        self.upstreams = [health("a.test"), health("b.test", DOWN)]
        status = self.status(ALICE)
        self.assertEqual(status["verdict"]["level"], "ok")
        self.assertIsNone(status["counts"]["blobs"])
        self.assertEqual(self.status()["verdict"]["level"], "bad")

    def test_files(self) -> None:
        """Who sees a part only is told nothing of files of the daemon."""
        self.troubles = Troubles(certificates={"a.cer": NOW}, config=(NOW, ["line 1: no"]))
        self.assertEqual(self.status(ALICE)["notices"], [])
        self.assertEqual(len(self.status()["notices"]), 2)
