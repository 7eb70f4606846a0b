"""Host and target of a request."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.error_answers import BadRequestError
from regcache.web.request_target import origin_form
from tests.support.front import Front
from tests.support.web_client import MemoryClient


class OriginFormTests(SynchronousTestCase):
    """What is left without the authority."""

    def test_same_host(self) -> None:
        """The authority of the Host is taken off, in any case."""
        for target, host, left in (
            (b"http://a.test/v2/", b"a.test", b"/v2/"),
            (b"HTTPS://A.test:5000/v2/?n=1", b"a.TEST:5000", b"/v2/?n=1"),
            (b"http://[::1]:5/x", b"[::1]:5", b"/x"),
            (b"http://a.test", b"a.test", b"/"),
            (b"http://a.test?x", b"a.test", b"/?x"),
        ):
            self.assertEqual(origin_form(target, [host]), left)

    def test_other_host(self) -> None:
        """What names another authority, or is in another form, is not taken."""
        for target, host in (
            (b"http://evil.test/v2/", b"a.test"),
            (b"http://a.test:5000/v2/", b"a.test"),
            (b"http://a.test@evil.test/v2/", b"a.test"),
            (b"http://a.test\\@evil.test/", b"a.test"),
            (b"http://a.test/v2/#x", b"a.test"),
            (b"ftp://a.test/v2/", b"a.test"),
            (b"http:/v2/", b"a.test"),
            (b"http:///v2/", b"a.test"),
            (b"a.test:443", b"a.test:443"),
            (b"*", b"a.test"),
            (b"", b""),
        ):
            self.assertRaises(BadRequestError, origin_form, target, [host])
        self.assertRaises(BadRequestError, origin_form, b"http://a.test/", [])


class RequestTests(SynchronousTestCase):
    """The same as a client sees it."""

    def setUp(self) -> None:
        self.front = Front(self.mktemp())
        self.addCleanup(self.front.stop)

    def test_served(self) -> None:
        """The same answer as to the path alone."""
        for host, status in (("main.example.com", 200), ("registry.example.com", 404)):
            answer = self.front.get(f"http://{host}/v2/_catalog", host=host)
            self.assertEqual(answer.status, status)

    def test_refused(self) -> None:
        """400, and nothing more is read from the connection."""
        client = self.front.begin("GET", "http://evil.test/v2/", host="main.example.com")
        client.request("GET", "/v2/", host="main.example.com")
        self.assertEqual(client.answer().status, 400)
        self.assertEqual(client.answer().headers["connection"], "close")
        self.assertTrue(client.transport.disconnecting)
        client.leave()

    def test_bad_host(self) -> None:
        """So it is without a Host, with two, or with what is none."""
        for lines, host in (((), None), (("Host: a",), "b"), ((), "a b"), ((), "<script>")):
            client = MemoryClient(self.front.site).request("GET", "/v2/", *lines, host=host)
            client.request("GET", "/v2/")
            self.assertEqual(client.answer().status, 400)
            self.assertNotIn(b"script", client.raw)
            self.assertTrue(client.transport.disconnecting)
            client.leave()
