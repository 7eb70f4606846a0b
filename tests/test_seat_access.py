"""Seats in the daemon as it is put together: host names, links, and the file while it runs."""

import hashlib
import json
import os
import time
from pathlib import Path

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from regcache.access_control import AccessSetupError
from regcache.admin.health import HealthPages
from regcache.saved_knocks import DELAY
from regcache.watched_file import INTERVAL
from regcache.web.redirect import RedirectDispatch
from tests.access.accounts import basic, hashed
from tests.support.web_client import PEER, Answer, MemoryClient
from tests.test_in_force import InForceCase

LABEL, SECRET = "k3j9x2fq7m", "s" * 43
HOST = "docker.example.com"
SEAT_HOST = f"docker-{LABEL}.example.com"


def seats_text(**more: str) -> str:
    """A file with one seat."""
    values = {
        "password": json.dumps(hashed("secret").decode()),
        "host": LABEL,
        "knock": f'"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()}"',
        **more,
    }
    return "alice:\n" + "".join(f"  {key}: {value}\n" for key, value in values.items())


class SeatDaemonCase(InForceCase):
    """A daemon with one seat, and hosts of its own."""

    def setUp(self) -> None:
        """The clock tells the time of day, by which seats end."""
        super().setUp()
        self.network.advance(time.time() - self.network.seconds())
        self.file = Path(self.mktemp()).absolute()
        self.write(seats_text())
        self.begin()

    def begin(self, more: str = "") -> None:
        """Start with this file."""
        access = f"access:\n  seats: '{self.file}'\n  knock: 24h\n"
        keys = f"urls: ['http://old.test'], hosts: [{HOST}]"
        self.start(self.build(keys, access + more)).startService()
        self.addCleanup(self.current.stopService)

    def write(self, text: str) -> None:
        """Another file takes its place."""
        following = self.file.with_name(self.file.name + ".new")
        following.write_text(text)
        os.replace(following, self.file)

    def get(self, target: str, *lines: str, host: str = HOST, method: str = "GET") -> Answer:
        """Ask; no time passes."""
        return MemoryClient(self.site).request(method, target, *lines, host=host).answer()

    def status(self, target: str = "/v2/", *lines: str, host: str = HOST) -> int:
        """What comes."""
        return self.get(target, *lines, host=host).status


class HostTests(SeatDaemonCase):
    """Host names of seats."""

    def test_host(self) -> None:
        """A seat's host is the host that it stands for, as that account."""
        self.assertEqual(self.status(), 401)
        self.assertEqual(self.status(host=SEAT_HOST), 200)
        self.assertEqual(self.status(host=f"{SEAT_HOST.upper()}:8443"), 200)

    def test_unknown_label(self) -> None:
        """A label of nobody makes a host like any that does not exist, and is not told whole."""
        for label in ("k3j9x2fq7n", "k3j9x2", LABEL + "a"):
            host = f"docker-{label}.example.com"
            self.assertEqual(self.status(host=host), 401)
            login = f"Authorization: {basic('alice', 'secret')}"
            answer = self.get("/v2/org/app/manifests/1", login, host=host)
            self.assertEqual(
                (answer.status, answer.json["errors"][0]["code"]), (404, "NAME_UNKNOWN")
            )
            self.assertNotIn(label, answer.body.decode())
            self.assertIn(f"docker-{label[:3]}...", answer.body.decode())

    def test_ended_label(self) -> None:
        """So does one of a seat that has ended."""
        self.write(seats_text(ended="2020-11-30T10:00:00Z"))
        self.network.advance(INTERVAL)
        self.assertEqual(self.status(host=SEAT_HOST), 401)
        answer = self.get("/v2/", f"Authorization: {basic('alice', 'secret')}")
        self.assertEqual(answer.status, 403)
        self.assertIn("2020-11-30", answer.json["errors"][0]["message"])
        answer = self.get("/token", f"Authorization: {basic('alice', 'secret')}")
        self.assertEqual(answer.status, 403)

    def test_other_hosts(self) -> None:
        """Only a host of ours has host names of seats, and a configured name is itself."""
        for host in (f"other-{LABEL}.example.com", f"docker-{LABEL}.example.org", LABEL):
            self.assertEqual(self.status(host=host), 401, host)

    def test_records(self) -> None:
        """Nothing that is recorded of a request has a whole label, however it was answered."""
        dispatch = self.site.dispatch
        health = HealthPages(lambda: [])
        for dispatcher, target, status in (
            (dispatch, "/v2/", 200),
            (health.before(dispatch), "/healthz", 200),
            (health.before(dispatch), "/readyz", 200),
            (RedirectDispatch(), "/v2/", 308),
            (dispatch, "http://other.example/", 400),
        ):
            self.site.dispatch = dispatcher
            self.assertEqual(self.status(target, host=SEAT_HOST), status, target)
            self.assertEqual(self.records.last.host, f"docker-{LABEL[:3]}....example.com")
        self.site.dispatch = dispatch
        client = MemoryClient(self.site).request("POST", "/v2/", host=SEAT_HOST, body=b"x" * 70_000)
        self.assertEqual(client.answer().status, 405)
        self.assertNotIn(LABEL, repr(self.records.records))
        twice = f"docker-{LABEL}-{LABEL}.example.com"
        self.get("/v2/", host=twice)
        self.assertEqual(self.records.last.host, f"docker-{LABEL}-{LABEL[:3]}....example.com")

    def test_tokens(self) -> None:
        """There are tokens of a seat's host for it alone."""
        scope = "scope=repository:org/app:pull,delete"
        answer = self.get(f"/token?service={SEAT_HOST}&{scope}", host=SEAT_HOST)
        self.assertEqual(answer.json["scope"], "repository:org/app:pull")
        shown = f"Authorization: Bearer {answer.json['token']}"
        self.assertEqual(self.status("/v2/", shown, host=SEAT_HOST), 200)
        self.assertEqual(self.status("/v2/", shown), 401)
        other = f"/token?service=docker-k3j9x2fq7n.example.com&{scope}"
        self.assertEqual(self.status(other, host=SEAT_HOST), 400)

    def test_another_login(self) -> None:
        """A login decides before the host, and a wrong one is wrong."""
        self.write(seats_text() + f"bob:\n  password: {json.dumps(hashed('word').decode())}\n")
        self.network.advance(INTERVAL)
        for login, status in ((("bob", "word"), 200), (("alice", "wrong"), 401)):
            shown = f"Authorization: {basic(*login)}"
            self.assertEqual(self.status("/v2/", shown, host=SEAT_HOST), status)


class LinkTests(SeatDaemonCase):
    """Links that let an address pull."""

    def test_knock(self) -> None:
        """The page has a button, which lets the address pull; only POST does."""
        page = self.get(f"/knock/{SECRET}")
        self.assertEqual(page.status, 200)
        self.assertIn('<form method="post"><button>', page.body.decode())
        self.assertEqual(page.headers["referrer-policy"], "same-origin")
        self.assertEqual(page.headers["cache-control"], "no-store")
        self.assertEqual(self.status(), 401)
        self.assertEqual(self.get(f"/knock/{SECRET}", method="POST").status, 200)
        self.assertEqual(self.status(), 200)

    def test_foreign_pages(self) -> None:
        """A page of another site lets no address in through the browser of a visitor."""
        own = f"Origin: http://{HOST}"
        for lines in (
            ["Origin: https://evil.example"],
            [f"Origin: https://{HOST}.evil.example"],
            [f"Origin: https://{HOST}:8443"],
            ["Origin: null"],
            ["Origin: "],
            [own, "Origin: https://evil.example"],
            ["Origin: null", "Sec-Fetch-Site: cross-site"],
            [own, "Sec-Fetch-Site: same-site"],
            ["Sec-Fetch-Site: cross-site"],
            ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
            ["Sec-Fetch-Site: same-origin", "Origin: https://evil.example"],
        ):
            answer = self.get(f"/knock/{SECRET}", *lines, method="POST")
            self.assertEqual(answer.status, 403, lines)
            self.assertIn("A page of another site", answer.body.decode())
        for number in range(20):
            self.get(f"/knock/{number}", "Sec-Fetch-Site: cross-site", method="POST")
        self.assertEqual(self.status(), 401)
        self.assertEqual(self.status(f"/knock/{SECRET}", "Sec-Fetch-Site: cross-site"), 200)

    def test_own_pages(self) -> None:
        """The button of the page does, by what its browser tells, and so do other programs."""
        for lines in (
            [],
            [f"Origin: http://{HOST}"],
            [f"Origin: https://{HOST}", "Sec-Fetch-Site: same-origin"],
            ["Origin: null", "Sec-Fetch-Site: same-origin"],
            ["Sec-Fetch-Site: none"],
        ):
            self.forget()
            self.assertEqual(self.get(f"/knock/{SECRET}", *lines, method="POST").status, 200)
            self.assertEqual(self.status(), 200, lines)

    def test_shared_addresses(self) -> None:
        """Where a request has no address of its own nobody is let in, and the page says why."""
        self.begin("  trusted_proxies: [192.0.2.7/32]\n")
        peers: list[tuple[IAddress, list[str], int]] = [
            (UNIXAddress("/run/x.sock"), [], 403),
            (PEER, [], 403),
            (PEER, ["X-Forwarded-For: unknown"], 403),
            (PEER, ["X-Forwarded-For: 192.0.2.7"], 403),
            (PEER, ["X-Forwarded-For: 198.51.100.9"], 200),
            (IPv4Address("TCP", "198.51.100.10", 9), [], 200),
        ]
        for peer, lines, status in peers:
            for method in ("GET", "POST"):
                client = MemoryClient(self.site, peer=peer)
                answer = client.request(method, f"/knock/{SECRET}", *lines, host=HOST).answer()
                self.assertEqual(answer.status, status, (peer, lines, method))
                self.assertEqual("no address of its own" in answer.body.decode(), status == 403)
        places = {each.place for each in self.engine.short_lived.knocks.all()}
        self.assertEqual(places, {"198.51.100.9", "198.51.100.10"})

    def forget(self) -> None:
        """No address is a seat."""
        self.engine.short_lived.knocks.forget("alice")
        self.current.in_force.access.access.forget()  # type: ignore[union-attr]

    def test_wrong(self) -> None:
        """Other secrets are no pages, and too many of them are refused, with any method."""
        for number in range(10):
            self.assertEqual(self.status(f"/knock/{number}"), 404)
        for method in ("GET", "POST"):
            self.assertEqual(self.get(f"/knock/{SECRET}", method=method).status, 429)
        self.assertEqual(self.get(f"/knock/{SECRET}", method="PUT").status, 405)
        self.assertEqual(self.status(), 401)

    def test_restart(self) -> None:
        """Addresses are saved a moment later, and known after a restart."""
        saved = self.engine.short_lived.saved_knocks
        saved.startService()
        saved.load()
        self.get(f"/knock/{SECRET}", method="POST")
        self.network.advance(DELAY)
        path = Path("knocks.json")
        self.addCleanup(path.unlink)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(SECRET, path.read_text())
        self.forget()
        self.assertEqual(self.status(), 401)
        saved.load()
        self.current.in_force.access.access.forget()  # type: ignore[union-attr]
        self.assertEqual(self.status(), 200)
        saved.stopService()

    def test_unreadable(self) -> None:
        """What cannot be read of saved addresses is passed over."""
        path = Path("knocks.json")
        self.addCleanup(path.unlink)
        for content in ("[", "{}", '[{"place": "192.0.2.1"}]', "[3]"):
            path.write_text(content)
            self.engine.short_lived.saved_knocks.load()
        self.assertEqual(self.engine.short_lived.knocks.all(), [])


class FileTests(SeatDaemonCase):
    """The file while the daemon runs."""

    def test_made(self) -> None:
        """A file that is missing is made, for us alone, and can be used."""
        self.file = self.file.with_name("new.yml")
        self.begin()
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.status(), 401)

    def test_cannot_be_made(self) -> None:
        """Where it cannot be made nothing starts, and it is said what to change."""
        self.file = self.file.with_name("missing") / "seats.yml"
        error = self.assertRaises(AccessSetupError, self.begin)
        self.assertIn("access.seats: ", str(error))
        self.assertIn("No such file or directory", str(error))

    def test_wrong_change(self) -> None:
        """A file with a fault is not used: what was read before stays in force."""
        self.write(seats_text(hst="x"))
        self.network.advance(INTERVAL)
        self.assertEqual(self.status(host=SEAT_HOST), 200)

    def test_open_connections(self) -> None:
        """A seat that ends is out on connections that are open, within two seconds."""
        client = MemoryClient(self.site)
        for status, text in ((200, seats_text()), (401, "bob:\n")):
            self.write(text)
            self.network.advance(INTERVAL)
            client.request("GET", "/v2/", host=SEAT_HOST)
            self.assertEqual(client.answers()[-1].status, status)
        self.assertFalse(client.transport.disconnecting)

    def test_many(self) -> None:
        """A thousand seats are read within the time between two looks, and each is known."""
        many = "".join(f"s{n}: {{host: label{n}, downloads: 8}}\n" for n in range(1000))
        self.write(many)
        self.network.advance(INTERVAL)
        for number in (0, 500, 999):
            self.assertEqual(self.status(host=f"docker-label{number}.example.com"), 200)
