"""What is known of a request when it has ended."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from regcache import causes
from regcache.digests import Digest
from regcache.timings import FetchTimings
from regcache.web import records
from regcache.web.flow import Flow
from regcache.web.records import (
    LONGEST_AGENT,
    LONGEST_PATH,
    MOST_AGENTS,
    agent_of,
    told_path,
)
from regcache.web.request import Request
from tests.support.web_client import MemoryClient, RecordList, make_site


class RecordTests(SynchronousTestCase):
    """The fields of a record."""

    def test_fields(self) -> None:
        """Each field has what belongs there."""
        clock, kept = Clock(), RecordList()
        clock.advance(1000)
        digest, timings, flow = Digest.of(b"x"), FetchTimings(clock.seconds), Flow()

        def dispatch(request: Request) -> None:
            facts = request.facts
            facts.kind, facts.upstream, facts.repository = "manifest", "u", "r"
            facts.reference, facts.account, facts.outcome = "t", "a", "stale"
            facts.cache_status, facts.error, facts.ended_early = "c", "e", "x"
            facts.digest, facts.cause = digest, causes.FULL
            facts.timings, facts.flow = timings, flow
            clock.advance(2)
            request.write(b"12345")
            clock.advance(3)
            request.finish()

        site = make_site(dispatch, clock, recorders=[kept], name="443")
        MemoryClient(site).request("GET", "/v2/x?ns=a", "User-Agent: probe/1")
        record = kept.last
        told = record._asdict()
        self.assertGreater(told.pop("serial"), 0)
        self.assertEqual(
            told,
            {
                "peer": "192.0.2.7",
                "account": "a",
                "method": "GET",
                "kind": "manifest",
                "upstream": "u",
                "repository": "r",
                "reference": "t",
                "status": 200,
                "body_bytes": 5,
                "outcome": "stale",
                "cache_status": "c",
                "first_byte": 2.0,
                "seconds": 5.0,
                "ended_early": "x",
                "error": "e",
                "host": "localhost",
                "path": b"/v2/x",
                "listener": "443",
                "principal": None,
                "arrived": 1000.0,
                "agent": b"probe/1",
                "digest": digest,
                "cause": causes.FULL,
                "is_distribution": True,
                "shows_login": True,
                "is_open": False,
                "timings": timings,
                "flow": flow,
                "verdict": None,
                "is_pull": False,
            },
        )
        fields = record.as_fields()
        self.assertNotIn("agent", fields)
        self.assertEqual(
            " ".join(fields),
            "peer account method kind upstream repository reference status outcome cache_status"
            " first_byte ended_early error host path listener bytes duration",
        )

    def test_clock_is_set_back(self) -> None:
        """Where the clock is set back during a request nothing took less than no time."""
        clock, kept = Clock(), RecordList()
        clock.advance(1000)

        def dispatch(request: Request) -> None:
            clock.rightNow -= 100
            request.write(b"12345")
            clock.rightNow -= 100
            request.finish()

        MemoryClient(make_site(dispatch, clock, recorders=[kept])).request("GET", "/v2/x")
        record = kept.last
        self.assertEqual((record.arrived, record.first_byte, record.seconds), (1000.0, 0.0, 0.0))

    def test_login(self) -> None:
        """A 401 says whether there were credentials."""
        kept = RecordList()

        def dispatch(request: Request) -> None:
            request.setResponseCode(401)
            request.finish()

        site = make_site(dispatch, recorders=[kept])
        MemoryClient(site).request("GET", "/healthz")
        self.assertFalse(kept.last.shows_login)
        self.assertFalse(kept.last.is_distribution)
        MemoryClient(site).request("GET", "/v2/", "Authorization: Basic eA==")
        self.assertTrue(kept.last.shows_login)

    def test_refused(self) -> None:
        """What is refused before it is a request has the time of that: its day is told by it."""
        kept, clock = RecordList(), Clock()
        clock.advance(1000)
        make_site(lambda request: None, clock, recorders=[kept]).refused(None, "no request")
        self.assertEqual((kept.last.arrived, kept.last.seconds), (1000.0, 0.0))

    def test_agents(self) -> None:
        """Equal agents are one object, of a bounded length; a crowd of them fills no memory."""

        def agent(text: bytes) -> bytes:
            return agent_of(Headers({b"user-agent": [text, b"second"]}))

        self.assertEqual(agent_of(Headers()), b"")
        self.assertIs(agent(b"docker/" + bytes([50])), agent(b"docker/" + bytes([50])))
        self.assertEqual(len(agent(b"x" * 9000)), LONGEST_AGENT)
        for number in range(3 * MOST_AGENTS):
            agent(b"agent/%d" % number)
        self.assertLessEqual(len(records._agents), MOST_AGENTS)

    def test_paths(self) -> None:
        """A path is told as it came, of a bounded length, without secrets."""
        for path, told in (
            (b"/v2/a/manifests/b", b"/v2/a/manifests/b"),
            (b"/x%2fy", b"/x%2fy"),
            (b"/knock/secret", b"/knock/-"),
            (b"//%6Bnock/secret", b"/knock/-"),
            (b"http://me:password@host/x", b""),
            (b"*", b""),
        ):
            self.assertEqual(told_path(path), told)
        for path in (b"/v2/" + b"x" * 9000, b"/" + b"%41" * 9000):
            self.assertEqual(len(told_path(path)), LONGEST_PATH)
