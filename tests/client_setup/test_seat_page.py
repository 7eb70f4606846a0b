"""The page for the person who has a seat."""

import re
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.seat_guide import seat_host, seat_urls
from regcache.client_setup.seat_page import SeatPaper, seat_page
from tests.client_setup.cases import NAMED, PLAIN, located

PAPER = SeatPaper(
    "alice", ["until the end of 2027-01-31"], password="pass-word", label="k3j9x2fq7m"
)


def section(page: str, tool: str) -> str:
    """What a page says of one client."""
    found = re.search(rf"^-- {tool} -+$(.*?)(?=^-- |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, tool
    return found[1]


class PageTests(SynchronousTestCase):
    """What each client is told."""

    def test_host(self) -> None:
        """With a host of its own that is what every client names, and no login."""
        page = seat_page(PAPER, located(NAMED))
        for tool in ("docker", "podman", "containerd"):
            self.assertIn("docker-k3j9x2fq7m.example.com:5000", section(page, tool))
            self.assertNotIn("login", section(page, tool))
        self.assertIn("password:  pass-word", page)
        self.assertIn("until the end of 2027-01-31", page)

    def test_login(self) -> None:
        """Without one docker is told what it lacks; the others show the login."""
        page = seat_page(replace(PAPER, label="", key="rc_key"), located(NAMED))
        self.assertIn(
            "Docker sends no login to a mirror", section(page, "docker").replace("\n", " ")
        )
        self.assertIn("podman login --username alice docker.example.com", section(page, "podman"))
        self.assertRegex(section(page, "containerd"), "Authorization = .Basic ")
        self.assertIn("rc_key", page)

    def test_link(self) -> None:
        """A link lets docker's address in, which is told there."""
        page = seat_page(replace(PAPER, label="", link="s3cret"), located(NAMED))
        self.assertIn("http://docker.example.com:5000/knock/s3cret", page)
        self.assertIn("let in by the link of this", section(page, "docker"))
        self.assertIn("registry-mirrors", section(page, "docker"))

    def test_certificate(self) -> None:
        """A certificate has its place for each client; containerd is told where it is."""
        setting = located(NAMED)
        places = [
            replace(each, place=replace(each.place, scheme="https")) for each in setting.locations
        ]
        setting = replace(setting, locations=places)
        page = seat_page(replace(PAPER, certificate="CERT", certificate_key="KEY"), setting)
        address = "docker.example.com:5000"
        self.assertIn(f"/etc/docker/certs.d/{address}/client.cert", section(page, "docker"))
        self.assertIn(f"/etc/containers/certs.d/{address}/client.key", section(page, "podman"))
        folder = f"/etc/containerd/certs.d/{address}"
        client = f'client = [["{folder}/client.cert", "{folder}/client.key"]]'
        self.assertIn(client, section(page, "containerd"))
        self.assertNotIn("k3j9x2fq7m", section(page, "docker"))

    def test_no_name(self) -> None:
        """A cache that is known by an address has no hosts for seats."""
        self.assertEqual(seat_host("192.0.2.1", "label0"), "192.0.2.1")
        self.assertEqual(seat_host("::1", "label0"), "::1")
        self.assertEqual(seat_host("cache", "label0"), "cache-label0")
        self.assertEqual(seat_urls(located(PLAIN, "192.0.2.1:5000"), "label0"), [])
