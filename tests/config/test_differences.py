"""What another configuration changes, and which keys take a restart."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.differences import changed_keys, keep_what_takes_a_restart
from regcache.config.keys import Section, sections_in
from regcache.config.loading import loads
from regcache.config.model import ROOT, Config

#: Every key of the file: those that a reload takes, by their section.
RELOADED = {
    "": "domain tls listeners admin storage upstreams default_upstream default_hosts dns access "
    "notify cors_origins ui log limits",
    "tls": "chain key client_ca",
    "listeners.*": "endpoint redirect acme_webroot tls http2 hsts",
    "listeners.*.tls": "certificates minimum client_ca",
    "listeners.*.tls.certificates.*": "chain key",
    "admin": "hosts metrics_endpoint",
    "storage": "max_size max_blob min_free unused_for sweep purge pin verify_on_read scrub finish",
    "upstreams.*": "hosts urls username password password_file token_hosts aliases "
    "default_namespace serve_private tag_ttl negative_ttl stale_if_error on_missing deadline allow "
    "deny proxy ca_file address_family connect_timeout first_byte_timeout stall_timeout "
    "max_downloads",
    "upstreams.*.urls.*": "url username password password_file token_hosts ns",
    "upstreams.*.tag_ttl.*": "match ttl",
    "access": "htpasswd seats knock key_file token realm challenge token_ttl admins rules "
    "trusted_proxies",
    "ui": "title",
    "notify": "url on",
    "log": "format access",
    "limits": "connections connections_per_address header_timeout idle client_stall drain "
    "image_size first_answer rate",
}
#: And those that take a restart.
RESTARTED = {"admin": "endpoint socket", "storage": "directory"}


def placed() -> dict[str, set[str]]:
    """All keys of these tables."""
    found: dict[str, set[str]] = {}
    for table in (RELOADED, RESTARTED):
        for section, names in table.items():
            found.setdefault(section, set()).update(names.split())
    return found


def all_sections(section: Section[Any] = ROOT, way: str = "") -> dict[str, Section[Any]]:
    """Every section of the file, by its way from the top."""
    found = {way: section}
    for name, key in section.keys.items():
        for between, inner in sections_in(key.type):
            found |= all_sections(inner, ".".join(filter(None, [way, name, *between])))
    return found


class PlaceTests(SynchronousTestCase):
    """Each key is taken by a reload, or takes a restart."""

    def test_all_placed(self) -> None:
        """A key that is new has to be placed in one of the tables, and to be taken so."""
        sections, known = all_sections(), placed()
        for way, section in sections.items():
            if way in known:
                self.assertEqual(set(section.keys), known[way], way)
            else:  # all of it is in access, which is replaced whole
                self.assertTrue(way.startswith("access."), way)

    def test_restart(self) -> None:
        """The keys that take a restart say so where they are stated."""
        found = {
            f"{way}.{name}"
            for way, section in all_sections().items()
            for name, key in section.keys.items()
            if key.restart
        }
        stated = {f"{way}.{name}" for way, names in RESTARTED.items() for name in names.split()}
        self.assertEqual(found, stated)


class ChangeTests(SynchronousTestCase):
    """Which keys differ."""

    def changed(self, old: str, new: str) -> list[str]:
        """The keys that differ between two files."""
        return changed_keys(load(old), load(new))

    def test_scalars(self) -> None:
        """Keys of sections are named by their way; what means the same is no change."""
        self.assertEqual(
            self.changed("limits: {drain: 1m}", "limits: {drain: 60s, rate: 1MiB}\nui: {title: x}"),
            ["ui.title", "limits.rate"],
        )

    def test_upstreams(self) -> None:
        """An upstream is named where it comes or goes, and its keys where they change."""
        old = "upstreams: {docker.io: {tag_ttl: 1h}, quay.io: }"
        new = "upstreams: {docker.io: {tag_ttl: 2h, deny: ['x/*']}, ghcr.io: }"
        wanted = ["docker.io.tag_ttl", "docker.io.deny", "quay.io", "ghcr.io"]
        self.assertEqual(self.changed(old, new), [f"upstreams.{each}" for each in wanted])

    def test_credentials(self) -> None:
        """Credentials of the only URL are named as they are written, and none with its value."""
        old = "upstreams: {docker.io: {username: me, password: first-secret}}"
        new = "upstreams: {docker.io: {username: me, password: other-secret}}"
        self.assertEqual(self.changed(old, new), ["upstreams.docker.io.password"])
        more = "upstreams: {docker.io: {urls: ['https://a.test', 'https://b.test']}}"
        self.assertEqual(self.changed(old, more), ["upstreams.docker.io.urls"])

    def test_listeners(self) -> None:
        """Options are named by the number of the listener; the list where its length changes."""
        old = "listeners: [{endpoint: 'tcp:80'}]"
        self.assertEqual(
            self.changed(old, "listeners: [{endpoint: 'tcp:80', hsts: true}]"),
            ["listeners[0].hsts"],
        )
        more = "listeners: [{endpoint: 'tcp:80'}, {endpoint: 'tcp:81'}]"
        self.assertEqual(self.changed(old, more), ["listeners"])


class RestartTests(SynchronousTestCase):
    """What is kept until a restart."""

    def test_kept(self) -> None:
        """The directory and the admin endpoint stay, and everything else is taken."""
        running = load("storage: {directory: /one}")
        new = load(
            "storage: {directory: /two, max_size: 5GiB}\n"
            "admin: {endpoint: null, socket: /run/x, hosts: [a.test]}"
        )
        config, waiting = keep_what_takes_a_restart(running, new)
        self.assertEqual(waiting, ["admin.endpoint", "admin.socket", "storage.directory"])
        self.assertEqual(config.storage.directory, "/one")
        self.assertEqual(
            (config.admin.endpoint, config.admin.socket), (running.admin.endpoint, None)
        )
        self.assertEqual(changed_keys(running, config), ["admin.hosts", "storage.max_size"])

    def test_nothing(self) -> None:
        """Where nothing of that kind changes, the new configuration is taken as it is."""
        new = load("limits: {drain: 1s}")
        self.assertEqual(keep_what_takes_a_restart(load(""), new), (new, []))


def load(text: str) -> Config:
    """A configuration."""
    return loads(text, "regcache.yml", {}).config
