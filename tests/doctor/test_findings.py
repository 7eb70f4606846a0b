"""What is found, from plain facts."""

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regcache.doctor.examined import (
    ExaminedUpstream,
    LayerSampled,
    ManifestAsked,
    examined_findings,
    health_findings,
)
from regcache.doctor.findings import Finding, Level, bad, look, ok, worst_first
from regcache.doctor.machine import (
    MOST_TOLD,
    CertificateState,
    DiskState,
    PassingClient,
    PortState,
    certificate_findings,
    client_findings,
    clock_finding,
    config_findings,
    disk_findings,
    port_findings,
)
from regcache.probing import ProbedUrl, ProbeStep
from regcache.upstream_health import UrlError
from tests.support.health import health, url_health

GIB = 1024**3
NOW = 1_800_000_000.0
DAY = 86_400.0


class FindingCase(SynchronousTestCase):
    """What all findings keep to."""

    def assert_levels(self, findings: Sequence[Finding], *levels: str) -> str:
        """These levels; what is bad says what to type. All texts together."""
        self.assertEqual([each.level.value for each in findings], list(levels), findings)
        for each in findings:
            self.assertTrue(each.check and each.text)
            self.assertNotIn("\n", each.text)
            self.assertTrue(each.fix or each.level is not Level.BAD, each)
        return " | ".join(f"{each.text} -> {each.fix}" for each in findings)


class MachineTests(FindingCase):
    """The machine."""

    def test_order(self) -> None:
        """What is bad comes first; plain JSON has null for nothing to type."""
        found = worst_first([ok("a", "x"), bad("b", "x", "y"), look("c", "x"), bad("d", "x", "y")])
        self.assertEqual([each.check for each in found], ["b", "d", "c", "a"])
        self.assertEqual(found[2].told(), {"check": "c", "level": "look", "text": "x", "fix": None})

    def test_configuration(self) -> None:
        """Errors are bad, warnings to be looked at."""
        self.assert_levels(config_findings("f", ["f:1: a", "f:2: b"], ["w"]), "bad", "bad")
        self.assert_levels(config_findings("f", [], ["w"]), "look")
        self.assert_levels(config_findings("f", [], []), "ok")
        text = self.assert_levels(config_findings("a b", ["x"], [], in_force=True), "bad")
        self.assertIn("not in force", text)
        self.assertIn("check-config 'a b'", text)

    def test_disk(self) -> None:
        """Room, and reasons why nothing is kept."""
        for free, limit, problems, level in (
            (50 * GIB, 100 * GIB, (), "ok"),
            (1 * GIB, 100 * GIB, (), "bad"),
            (50 * GIB, GIB // 2, (), "look"),
            (50 * GIB, None, (), "ok"),
            (None, None, (), "bad"),
            (50 * GIB, 100 * GIB, ("it is read-only",), "bad"),
        ):
            state = DiskState(
                "/d", free=free, min_free=2 * GIB, used=GIB, limit=limit, problems=problems
            )
            self.assert_levels(disk_findings(state), level)
        state = DiskState("/d", free=9 * GIB, min_free=GIB, limit=90 * GIB, remark="it is smaller")
        self.assertIn("it is smaller", self.assert_levels(disk_findings(state), "look"))
        state = replace(state, refused="storage.min_free 1.0 GiB: 9.0 GiB are free")
        self.assertIn(state.refused, self.assert_levels(disk_findings(state), "bad"))

    def test_certificates(self) -> None:
        """Those that have ended, end soon, or cannot be read."""
        states = [
            CertificateState("/ok.pem", NOW + 60 * DAY),
            CertificateState("/soon.pem", NOW + 3 * DAY),
            CertificateState("/over.pem", NOW - 1),
            CertificateState("/gone.pem", None, "cannot be read"),
        ]
        text = self.assert_levels(certificate_findings(states, NOW), "ok", "look", "bad", "bad")
        self.assertIn("in 3 days", text)
        self.assert_levels(certificate_findings([], NOW), "ok")

    def test_ports(self) -> None:
        """A listener that does not answer, is open to all, or is somebody else's."""

        def port(answers: bool | None, local: bool = True, to_all: bool = False) -> PortState:
            return PortState(
                "5000", scheme="http", answers=answers, is_local=local, is_open_to_all=to_all
            )

        for state, runs, level in (
            (port(True), True, "ok"),
            (port(None), True, "ok"),
            (port(False), True, "bad"),
            (port(True, False, True), True, "look"),
            (port(False), False, "ok"),
            (port(True), False, "look"),
        ):
            self.assert_levels(port_findings([state], runs), level)

    def test_clock(self) -> None:
        """The median of what upstreams tell, either way."""
        for skews, level in (
            ([], "look"),
            ([0.4, -1.0], "ok"),
            ([1.0, 2.0, 9999.0], "ok"),
            ([-45.0], "look"),
            ([400.0], "bad"),
            ([-400.0, -401.0], "bad"),
        ):
            self.assert_levels([clock_finding(skews)], level)
        self.assertIn("behind", clock_finding([-45.0]).text)

    def test_clients(self) -> None:
        """Who passes by, what it is, and how it is set up; not more than can be read."""
        for agent, tool in (
            ("docker/26.1.5 go/1", "docker"),
            ("containerd/1.7.24", "containerd"),
            ("containers/5.34 (github.com/containers/image)", "podman"),
            ("Buildah/1.39.3", "podman"),
            ("cri-o/1.30", "crio"),
        ):
            client = PassingClient(
                address="10.0.0.7", agent=agent, reason="challenged", since=NOW, count=3
            )
            text = self.assert_levels(client_findings([client]), "look")
            self.assertIn(f"client-config {tool}", text)
        for reason in ("failed", "pings"):
            self.assert_levels(
                client_findings(
                    [PassingClient(address="a", agent="", reason=reason, since=NOW, count=3)]
                ),
                "look",
            )
        many = [
            PassingClient(address=str(number), agent="", reason="pings", since=NOW, count=20)
            for number in range(50)
        ]
        found = client_findings(many)
        self.assertEqual(len(found), MOST_TOLD + 1)
        self.assertIn("40 more", found[-1].text)
        self.assert_levels(client_findings([]), "ok")


STEPS = tuple(ProbeStep(name, text="x", seconds=0.1, ok=True) for name in ("DNS", "/v2/"))
FINE = ProbedUrl("https://r.test", STEPS, 0.2)
BROKEN = ProbedUrl("https://s.test", (ProbeStep("DNS", text="no such name", seconds=1, ok=False),))
ASKED = ManifestAsked("r.test/a:1", 0.2)
MIB = 1024 * 1024


class UpstreamFindingTests(FindingCase):
    """An upstream."""

    def test_examined(self) -> None:
        """Each thing that was asked is a line; what was not is none."""
        for examined, levels in (
            (ExaminedUpstream("r", urls=(FINE,)), ["ok"]),
            (ExaminedUpstream("r", urls=(FINE, BROKEN)), ["ok", "bad"]),
            (ExaminedUpstream("r", urls=(FINE,), timed_out=True), ["ok", "bad"]),
            (ExaminedUpstream("r", urls=(FINE,), manifest=ASKED), ["ok", "ok", "ok"]),
            (
                ExaminedUpstream(
                    "r", urls=(FINE,), manifest=ManifestAsked("r/a:1", 1, "it is gone")
                ),
                ["ok", "bad", "ok"],
            ),
        ):
            self.assert_levels(examined_findings(examined), *levels)
        self.assertEqual(ExaminedUpstream("r", urls=(FINE, BROKEN)).skews, [0.2])

    def test_samples(self) -> None:
        """Host and speed of a layer; a small one tells nothing of speed."""
        for sample, level in (
            (LayerSampled("cdn.test", 4 * MIB, 1.0), "ok"),
            (LayerSampled("cdn.test", 4 * MIB, 0.0), "ok"),
            (LayerSampled("cdn.test", MIB, 4.0), "look"),
            (LayerSampled("cdn.test", 1000, 4.0), "ok"),
            (LayerSampled("cdn.test", 0, 0.0, "it broke off"), "bad"),
            (LayerSampled("", 0, 0.0, "no answer"), "bad"),
        ):
            found = examined_findings(ExaminedUpstream("r", manifest=ASKED, sample=sample))
            text = self.assert_levels(found[1:], level)
            self.assertIn(sample.host, text)

    def test_health(self) -> None:
        """What is known without asking."""
        error = UrlError(NOW, "unreachable", "no route")
        for changes, level in (
            ({}, "ok"),
            ({"asked": False}, "ok"),
            ({"last_error": error}, "ok"),
            ({"last_error": error, "failing_since": NOW}, "bad"),
            ({"limited_until": NOW}, "look"),
        ):
            known = health("r.test", url_health(**changes))
            self.assert_levels(health_findings(known), level)
        self.assert_levels(health_findings(health("r.test", ok=False)), "bad")
