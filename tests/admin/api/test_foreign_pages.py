"""Pages of other sites change nothing."""

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, CallRoute
from regcache.admin.api.schemas import FLAG, record
from tests.support.api import ROOT, ApiCase

CALL = ApiCall(method="POST", path="x", role=Role.ADMIN, text="Changes.", answer=record(done=FLAG))
KEY, JSON = "X-Regcache: 1", "Content-Type: application/json"


class ForeignPageTests(ApiCase):
    """What a request that changes something must show."""

    def routes(self) -> list[CallRoute]:
        self.done = 0
        return [CallRoute(CALL, self.do)]

    def do(self, asked: object) -> dict[str, bool]:
        """Counts."""
        self.done += 1
        return {"done": True}

    def status(self, *lines: str, method: str = "POST") -> int:
        """The status for these header lines, with an administrator's password."""
        answer = self.ask(method, "x", f"Authorization: {ROOT}", *lines, body={})
        if answer.status == 403:
            self.assert_problem(answer, 403, "FOREIGN_PAGE")
        self.assertFalse([name for name in answer.headers if name.startswith("access-control")])
        return answer.status

    def test_needed(self) -> None:
        """Every caller needs the header of ours and the media type."""
        self.assertEqual(self.status(KEY, JSON), 200)
        self.assertEqual(self.status(KEY, "Content-Type: Application/JSON; charset=utf-8"), 200)
        self.assertEqual(self.done, 2)
        for lines in (
            (),
            (KEY,),
            (JSON,),
            ("X-Regcache: 0", JSON),
            (KEY, KEY, JSON),
            (KEY, "Content-Type: text/plain"),
            (KEY, "Content-Type: application/x-www-form-urlencoded"),
            (KEY, "Content-Type: application/jsonp"),
            (KEY, JSON, "Content-Type: text/plain"),
        ):
            self.assertEqual(self.status(*lines), 403, lines)
        self.assertEqual(self.done, 2)

    def test_origin(self) -> None:
        """An Origin must be that of the own page, scheme and port included."""
        for origin in ("http://localhost:5001", "HTTP://LocalHost:5001"):
            self.assertEqual(self.status(KEY, JSON, f"Origin: {origin}"), 200, origin)
        for origin in (
            "null",
            "",
            "http://localhost",
            "http://localhost:5000",
            "https://localhost:5001",
            "http://localhost:5001.evil.test",
            "http://localhost:5001/",
            "http://evil.test",
        ):
            self.assertEqual(self.status(KEY, JSON, f"Origin: {origin}"), 403, origin)
        own = "Origin: http://localhost:5001"
        self.assertEqual(self.status(KEY, JSON, own, own), 403)

    def test_origin_over_tls(self) -> None:
        """Over TLS it is https, and the usual port is not written."""
        self.secure, self.host = True, "registry.example.com"
        for origin, status in (
            ("https://registry.example.com", 200),
            ("https://registry.example.com:443", 200),
            ("http://registry.example.com", 403),
            ("https://other.example.com", 403),
        ):
            self.assertEqual(self.status(KEY, JSON, f"Origin: {origin}"), status, origin)

    def test_site(self) -> None:
        """Browsers that say where a request comes from are believed."""
        for site, status in (
            ("same-origin", 200),
            ("none", 200),
            ("same-site", 403),
            ("cross-site", 403),
            ("", 403),
        ):
            self.assertEqual(self.status(KEY, JSON, f"Sec-Fetch-Site: {site}"), status, site)

    def test_preflight(self) -> None:
        """No other page is ever allowed to ask."""
        lines = ("Origin: http://evil.test", "Access-Control-Request-Method: POST")
        self.assertEqual(self.status(*lines, method="OPTIONS"), 403)
