"""Tests for the short form, defaults, variables and the long form."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.known import KNOWN
from regcache.config.model import Config, Listener
from regcache.config.tls_settings import Certificate, ListenerTLS
from regcache.config.upstream_settings import TagTTL, UrlSettings
from regcache.config.values import Cron
from regcache.facts import Percentage
from tests.config.helpers import errors, loaded
from tests.support.certificates import Authority

FIVE = {"docker.io": "docker", "gcr.io": "gcr", "registry.k8s.io": "k8s", "quay.io": "quay"}
FIVE["ghcr.io"] = "ghcr"


def config(text: str, **environ: str) -> Config:
    """The configuration a text stands for."""
    return loaded(text, **environ).config


class DefaultTests(SynchronousTestCase):
    """Tests for what nothing means."""

    def test_nothing(self) -> None:
        """An empty file means all known upstreams on one plain listener on loopback."""
        empty = config("")
        self.assertEqual([upstream.name for upstream in empty.upstreams], list(KNOWN))
        self.assertEqual(len(KNOWN), 10)
        self.assertEqual(empty.listeners, (Listener("tcp:5000:interface=127.0.0.1"),))
        self.assertEqual(empty.default_upstream, "docker.io")
        self.assertEqual(empty.admin.endpoint, "tcp:5001:interface=127.0.0.1")
        self.assertEqual(empty.storage.max_size, Percentage(80.0))
        self.assertFalse(empty.access.restricted)

    def test_empty_sections(self) -> None:
        """Empty sections mean their defaults and count as not set."""
        sections = ["admin", "notify", "storage", "upstreams", "access", "ui", "log", "limits"]
        sections += ["listeners", "dns", "cors_origins"]
        result = loaded("\n".join(f"{name}:" for name in sections))
        self.assertEqual(result.config, config(""))
        self.assertEqual(result.present, {})
        self.assertEqual(result.warnings, [])

    def test_present(self) -> None:
        """What the file sets is told from what is a default."""
        present = loaded("log: {access: true}\nupstreams: {quay.io: {tag_ttl: 1m}}").present
        self.assertEqual(present["log", "access"], True)
        self.assertIn(("upstreams", "quay.io", "tag_ttl"), present)
        self.assertNotIn(("log", "format"), present)

    def test_known_upstreams(self) -> None:
        """A known name comes with its URL, token hosts, aliases and namespace."""
        hub = config("upstreams: {docker.io: }").upstreams[0]
        url = UrlSettings("https://registry-1.docker.io", token_hosts=("auth.docker.io",))
        self.assertEqual(hub.urls, (url,))
        self.assertEqual(hub.aliases, ("index.docker.io", "registry-1.docker.io"))
        self.assertEqual(hub.default_namespace, "library")

    def test_default_upstream(self) -> None:
        """The default is docker.io where it is there, else what is set, by name or alias."""
        self.assertIsNone(config("upstreams: {quay.io: }").default_upstream)
        self.assertEqual(config("default_upstream: k8s.gcr.io").default_upstream, "registry.k8s.io")


class ShortFormTests(SynchronousTestCase):
    """Tests for ``domain`` and ``tls``."""

    def test_domain(self) -> None:
        """The five known upstreams and the UI get hosts under the domain."""
        result = config("domain: Example.com.")
        hosts = {upstream.name: upstream.hosts for upstream in result.upstreams}
        for name in KNOWN:
            wanted = (f"{FIVE[name]}.example.com",) if name in FIVE else ()
            self.assertEqual(hosts[name], wanted)
        self.assertEqual(result.admin.hosts, ("registry.example.com",))

    def test_domain_yields_to_hosts(self) -> None:
        """Hosts that are set, even to none, replace those of the domain."""
        result = config(
            """
            domain: example.com
            admin: {hosts: []}
            upstreams:
              docker.io: {hosts: [hub.example.net]}
              quay.io: {hosts: []}
            """
        )
        self.assertEqual([u.hosts for u in result.upstreams], [("hub.example.net",), ()])
        self.assertEqual(result.admin.hosts, ())

    def test_tls(self) -> None:
        """One certificate means HTTPS on 443 and a redirect on 80."""
        files = Authority(Path(self.mktemp())).issue("*.example.com")
        result = config(f"tls: {{chain: '{files.chain}', key: '{files.key}'}}")
        pair = Certificate(str(files.chain.absolute()), str(files.key.absolute()))
        self.assertEqual(
            result.listeners,
            (Listener("443", tls=ListenerTLS((pair,))), Listener("80", redirect="https")),
        )

    def test_client_ca(self) -> None:
        """The short form may ask for certificates of clients, too."""
        authority = Authority(Path(self.mktemp()))
        files = authority.issue("*.example.com")
        text = f"chain: '{files.chain}', key: '{files.key}', client_ca: '{authority.file}'"
        (https, redirect) = config(f"tls: {{{text}}}").listeners
        assert https.tls is not None
        self.assertEqual(https.tls.client_ca, str(authority.file.absolute()))
        self.assertIsNone(redirect.tls)

    def test_listeners_replace_both(self) -> None:
        """With listeners, tls makes none, and a warning says so."""
        files = Authority(Path(self.mktemp())).issue("*.example.com")
        result = loaded(
            f"tls: {{chain: '{files.chain}', key: '{files.key}'}}\n"
            "listeners: [{endpoint: 'tcp:0:interface=127.0.0.1'}]\n"
        )
        self.assertEqual(result.config.listeners, (Listener("tcp:0:interface=127.0.0.1"),))
        self.assertTrue(any("1: tls: has no effect" in line for line in result.warnings))

    def test_listeners_that_stay_plain(self) -> None:
        """The warning names the listeners that have no TLS now, and what to write there."""
        files = Authority(Path(self.mktemp())).issue("*.example.com")
        certificate = f"chain: {files.chain.absolute()}, key: {files.key.absolute()}"
        result = loaded(f"tls: {{{certificate}}}\nlisteners: [{{endpoint: 'tcp:8443'}}]\n")
        (told,) = [line for line in result.warnings if "1: tls: has no effect" in line]
        self.assertIn("so tcp:8443 is plain HTTP: write tls: ", told)
        written = told.partition(": write ")[2].partition(" under")[0]
        again = loaded(f"listeners: [{{endpoint: 'tcp:8443', {written}}}]\n")
        self.assertIsNotNone(again.config.listeners[0].tls)


class ValueTests(SynchronousTestCase):
    """Tests for values that have more than one form."""

    def test_tag_ttl(self) -> None:
        """One duration holds for all tags; a list ends with the default for the rest."""
        one = config("upstreams: {quay.io: {tag_ttl: 0}}").upstreams[0]
        self.assertEqual(one.tag_ttl, (TagTTL("*", 0.0),))
        many = config("upstreams: {quay.io: {tag_ttl: [{match: 'v*', ttl: 1h}]}}").upstreams[0]
        self.assertEqual(many.tag_ttl, (TagTTL("v*", 3600.0), TagTTL("*", 300.0)))

    def test_null_where_it_means_something(self) -> None:
        """Null is a value where the reference has one."""
        storage = config("storage: {unused_for: null, finish: null, sweep: '0 4 * * *'}").storage
        self.assertEqual((storage.unused_for, storage.finish), (None, None))
        self.assertEqual(storage.sweep, Cron("0 4 * * *"))
        self.assertIsNone(config("admin: {endpoint: null}").admin.endpoint)

    def test_relative_paths(self) -> None:
        """Relative paths begin at the folder of the file."""
        directory = config("storage: {directory: ./var/../cache}").storage.directory
        self.assertEqual(directory, str(Path("cache").absolute()))


class VariableTests(SynchronousTestCase):
    """Tests for ``${NAME}``."""

    def title(self, text: str, **environ: str) -> str:
        """What a title becomes."""
        return config(f"ui: {{title: '{text}'}}", **environ).ui.title

    def test_expanded(self) -> None:
        """Variables are replaced inside texts; a doubled dollar sign keeps them."""
        self.assertEqual(self.title("a${X}b${Y_1}", X="1", Y_1="${X}"), "a1b${X}")
        self.assertEqual(self.title("$${X} $X $$", X="1"), "${X} $X $$")

    def test_content_is_not_parsed(self) -> None:
        """What a variable holds is never YAML."""
        self.assertEqual(self.title("${X}", X="[a, {b: c}]"), "[a, {b: c}]")
        found = errors("upstreams: {quay.io: {max_downloads: '${X}'}}", X="5")
        self.assertEqual(
            found, ["1: upstreams.quay.io.max_downloads: expected a whole number, got text"]
        )

    def test_errors(self) -> None:
        """A variable that is not set or no valid name is an error."""
        self.assertIn("X is not set", errors("ui: {title: '${X}'}")[0])
        for text in ("${", "${}", "${a-b}", "${1}", "${X"):
            self.assertIn("literal ${ is written $${", errors(f"ui: {{title: '{text}'}}", X="1")[0])
