"""Under which address clients find each registry."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.located import NoSuchHostError
from tests.client_setup.cases import NAMED, PLAIN, located

_LOOPBACK = PLAIN.replace("endpoint: 5000", 'endpoint: "tcp:5000:interface=127.0.0.1"')


class LocatedTests(SynchronousTestCase):
    """By configuration, and by the host that is asked for."""

    def test_places(self) -> None:
        """Every way to an address: by --host, by hosts, by interface, by default_hosts, by name."""
        hosts = "default_hosts: ['*.lan', cache.lan]\n"
        for text, host, docker, ghcr in (
            (PLAIN, "", "box.lan:5000/docker.io", "box.lan:5000/ghcr.io"),
            (PLAIN + hosts, "", "cache.lan:5000/docker.io", "cache.lan:5000/ghcr.io"),
            (_LOOPBACK, "", "127.0.0.1:5000/docker.io", "127.0.0.1:5000/ghcr.io"),
            (PLAIN, "A.example.com.:5000", "a.example.com:5000/docker.io", None),
            (PLAIN, "https://a.example.com", "a.example.com/docker.io", None),
            (PLAIN, "a.example.com:443", "a.example.com/docker.io", None),
            (PLAIN, "[2001:DB8::1]", "[2001:db8::1]:5000/docker.io", None),
            (NAMED, "", "docker.example.com:5000", "ghcr.example.com:5000"),
            (NAMED, "10.0.0.1", "10.0.0.1:5000/docker.io", "10.0.0.1:5000/ghcr.io"),
        ):
            found = {each.registry.name: each.pulled_as for each in located(text, host).locations}
            self.assertEqual(found["docker.io"], docker, (text, host))
            if ghcr is not None:
                self.assertEqual(found["ghcr.io"], ghcr, (text, host))

    def test_schemes(self) -> None:
        """The scheme is that of the listener with this port, or of what stands in front of it."""
        for host, url in (
            ("a.test:5000", "http://a.test:5000"),
            ("a.test", "http://a.test:5000"),
            ("a.test:443", "https://a.test"),
            ("a.test:80", "http://a.test"),
            ("https://a.test", "https://a.test"),
            ("https://a.test:8443", "https://a.test:8443"),
            ("a.test:9999", "http://a.test:9999"),
        ):
            (place,) = located(PLAIN, host).places
            self.assertEqual(place.url, url, host)

    def test_host_of_one_registry(self) -> None:
        """A host that means one registry serves that one alone."""
        (only,) = located(NAMED, "ghcr.example.com").locations
        self.assertEqual((only.registry.name, only.prefix), ("ghcr.io", ""))

    def test_hub(self) -> None:
        """Docker's mirror is where Docker Hub answers at the root; elsewhere there is none."""
        for text, host, url in (
            (PLAIN, "", "http://box.lan:5000"),
            (NAMED, "", "http://docker.example.com:5000"),
            (NAMED, "10.0.0.1", "http://10.0.0.1:5000"),
            (NAMED, "other.test", None),
            (PLAIN + "default_upstream: ghcr.io\n", "", None),
            (NAMED, "ghcr.example.com", None),
        ):
            hub = located(text, host).hub
            self.assertEqual(None if hub is None else hub.url, url, (text, host))

    def test_names_of_mirrors(self) -> None:
        """Clients know Docker Hub by one name, others by their aliases, too; "lan" by none."""
        text = "upstreams: {docker.io: , registry.k8s.io: , lan: {urls: [http://x.corp]}}"
        found = [each.names for each in located(text).locations]
        self.assertEqual(found, [["docker.io"], ["registry.k8s.io", "k8s.gcr.io"], []])
        self.assertEqual(len(located(text).mirrored), 2)

    def test_upstreams(self) -> None:
        """Only those that were asked for, by name or alias, each once."""
        found = located(NAMED, "", "ghcr.io", "docker.io", "index.docker.io")
        self.assertEqual([each.registry.name for each in found.locations], ["ghcr.io", "docker.io"])

    def test_refused(self) -> None:
        """What cannot be a host of this cache is refused with what is wrong."""
        for host, upstreams, why in (
            ("a b", (), "is no host"),
            ("http://a/b", (), "is no host"),
            ("a..b", (), "is no host"),
            ("-a", (), "is no host"),
            ("a:0", (), "1 to 65535"),
            ("a:70000", (), "1 to 65535"),
            ("[::g]", (), "is no host"),
            ("[1:2]", (), "is no address"),
            ("x" * 400, (), "is no host"),
            ("registry.example.com", (), "admin.hosts"),
            ("docker.example.com", ("ghcr.io",), "serves docker.io alone"),
            ("", ("nowhere.io",), "no upstream has this name"),
        ):
            error = self.assertRaises(NoSuchHostError, located, NAMED, host, *upstreams)
            self.assertIn(why, str(error), host)
            self.assertNotIn("\n", str(error))
