"""GET doctor and POST doctor."""

from collections.abc import Sequence

from regcache.admin.api.calls import CallRoute
from regcache.admin.api.doctor_call import GET_DOCTOR, POST_DOCTOR, doctor_routes
from regcache.doctor.findings import Finding, bad, ok
from tests.support.api import ALICE, ROOT, ApiCase


class DoctorTests(ApiCase):
    """What is told, and to whom."""

    def routes(self) -> list[CallRoute]:
        """The calls."""
        self.asked: list[bool] = []
        return doctor_routes(self.examine)

    async def examine(self, asks: bool) -> Sequence[Finding]:
        """Findings."""
        self.asked.append(asks)
        return [bad("disk", "it is full", "regcachectl sweep"), ok("clock", "it is right")]

    def test_told(self) -> None:
        """Each line has its level, and what to type; only POST asks upstreams."""
        told = self.answered(GET_DOCTOR, self.get("doctor"))
        self.assertEqual(
            told["items"][0],
            {"check": "disk", "level": "bad", "text": "it is full", "fix": "regcachectl sweep"},
        )
        self.assertIsNone(told["items"][1]["fix"])
        self.answered(POST_DOCTOR, self.post("doctor", {}, ROOT))
        self.assertEqual(self.asked, [False, True])

    def test_callers(self) -> None:
        """It is for administrators, and for who may read on loopback."""
        self.assert_problem(self.get("doctor", ALICE), 403, "FORBIDDEN")
        self.assert_problem(self.post("doctor", {}), 401, "UNAUTHENTICATED")
        self.assert_problem(self.post("doctor", {}, ALICE), 403, "FORBIDDEN")
        self.assertEqual(self.asked, [])
