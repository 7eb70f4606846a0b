"""Tests that every kind of mistake is named with its line and its key."""

from twisted.trial.unittest import SynchronousTestCase

from tests.config.helpers import errors

#: Text, and how each of its error lines begins.
CASES: list[tuple[str, list[str]]] = [
    ("colour: red", ["1: colour: unknown key"]),
    ("storage:\n  direktory: /x", ["2: storage.direktory: unknown key; is directory meant?"]),
    ("<<: {}", ["1: <<: unknown key; merge keys"]),
    ("[a]", ["1: expected a section of keys, got a list"]),
    ("storage: 5", ["1: storage: expected a section of keys, got a number"]),
    ("storage: [x]", ["1: storage: expected a section of keys, got a list"]),
    (
        "storage:\n  max_size:\n",
        ["2: storage.max_size: expected a size such as 50GiB, got nothing"],
    ),
    ("dns: 8.8.8.8", ["1: dns: expected a list, got text"]),
    ("log: {access: 1}", ["1: log.access: expected true or false, got a number"]),
    ("ui: {title: 5}", ["1: ui.title: expected text, got a number; quote it"]),
    ("ui: {title: true}", ["1: ui.title: expected text, got true or false"]),
    ("ui: {title: [x]}", ["1: ui.title: expected text, got a list"]),
    ("ui:\n\n  title: no", ["3: ui.title: YAML readers disagree on no"]),
    ("limits: {drain: 1:30}", ["1: limits.drain: YAML readers disagree on 1:30"]),
    ("limits: {idle: 75}", ["1: limits.idle: a duration needs a unit"]),
    ("limits: {idle: 0}", ["1: limits.idle: must be from 100ms to 1d"]),
    ("storage: {min_free: 10%}", ["1: storage.min_free: a percentage makes no sense"]),
    ("storage: {purge: 1d}", ["1: storage.purge: must be a cron line"]),
    ("storage: {unused_for: 1s}", ["1: storage.unused_for: must be from 1m to"]),
    ("storage: {max_size: 2G}", ["1: storage.max_size: '2G' has no whole unit: write 2GiB or 2GB"]),
    ("limits: {rate: 100k}", ["1: limits.rate: '100k' has no whole unit: write 100KiB or 100kB"]),
    (
        "listeners: [{endpoint: 80, redirect: true}]",
        ["1: listeners[0].redirect: must be https, not 'true'"],
    ),
    ("listeners: []", ["1: listeners: may not be empty"]),
    ("listeners: [{}]", ["1: listeners[0].endpoint: missing"]),
    ("listeners:\n- endpoint: 1\n- endpoint: 99999", ["3: listeners[1].endpoint: the port must"]),
    ("listeners:\n- endpoint: tls:443", ["2: listeners[0].endpoint: use tcp: and the listener"]),
    ("listeners: [{endpoint: 80, redirect: http}]", ["1: listeners[0].redirect: must be https"]),
    ("listeners: [{endpoint: 80, tls: {}}]", ["1: listeners[0].tls.certificates: missing"]),
    (
        "listeners: [{endpoint: 80, tls: {certificates: []}}]",
        ["1: listeners[0].tls.certificates: may not be empty"],
    ),
    (
        "tls: {chain: /nowhere/c}",
        ["1: tls.chain: /nowhere/c cannot be read: No such", "1: tls.key: m"],
    ),
    ("upstreams: [docker.io]", ["1: upstreams: expected a section of keys, got a list"]),
    ("upstreams: {internal: }", ["1: upstreams.internal.urls: missing"]),
    ("upstreams: {Docker.io: }", ["1: upstreams.Docker.io: write it as docker.io"]),
    ("upstreams: {a b: {urls: [http://a]}}", ["1: upstreams.a b: 'a b' is no host name"]),
    ("upstreams: {quay.io: {urls: []}}", ["1: upstreams.quay.io.urls: may not be empty"]),
    ("upstreams: {quay.io: {urls: http://a}}", ["1: upstreams.quay.io.urls: expected a list"]),
    (
        "upstreams:\n  quay.io:\n    urls:\n    - {ns: true}\n    - ftp://x\n    - 5",
        [
            "4: upstreams.quay.io.urls[0].url: missing",
            "5: upstreams.quay.io.urls[1]: must begin with http:// or https://",
            "6: upstreams.quay.io.urls[2]: expected text, got a number",
        ],
    ),
    (
        "upstreams: {quay.io: {allow: }}",
        ["1: upstreams.quay.io.allow: expected a list, got nothing"],
    ),
    ("upstreams: {quay.io: {allow: []}}", ["1: upstreams.quay.io.allow: may not be empty"]),
    ("upstreams: {quay.io: {deny: }}", ["1: upstreams.quay.io.deny: expected a list, got nothing"]),
    ("upstreams: {quay.io: {deny: ['[x]']}}", ["1: upstreams.quay.io.deny[0]: '[x]' is no glob"]),
    ("upstreams: {quay.io: {max_downloads: 0}}", ["1: upstreams.quay.io.max_downloads: must be"]),
    (
        "upstreams: {quay.io: {max_downloads: true}}",
        ["1: upstreams.quay.io.max_downloads: expected"],
    ),
    (
        "upstreams: {quay.io: {tag_ttl: 5}}",
        ["1: upstreams.quay.io.tag_ttl: a duration needs a unit"],
    ),
    ("upstreams: {quay.io: {tag_ttl: []}}", ["1: upstreams.quay.io.tag_ttl: may not be empty"]),
    (
        "upstreams: {quay.io: {tag_ttl: [{match: a}]}}",
        ["1: upstreams.quay.io.tag_ttl[0].ttl: missing"],
    ),
    ("upstreams: {quay.io: {tag_ttl: {a: b}}}", ["1: upstreams.quay.io.tag_ttl: expected"]),
    (
        "upstreams: {quay.io: {ca_file: /nowhere}}",
        ["1: upstreams.quay.io.ca_file: /nowhere cannot"],
    ),
    (
        "upstreams: {quay.io: {ca_file: /etc/hostname}}",
        ["1: upstreams.quay.io.ca_file: /etc/hostn"],
    ),
    (
        "upstreams: {quay.io: {proxy: 'socks5://x'}}",
        ["1: upstreams.quay.io.proxy: must begin with"],
    ),
    ("upstreams: {quay.io: {address_family: ipv5}}", ["1: upstreams.quay.io.address_family: must"]),
    ("default_upstream: zz.io", ["1: default_upstream: zz.io is none of the upstreams"]),
    ("default_hosts: ['a:5000']", ["1: default_hosts[0]: 'a:5000' has a port"]),
    (
        "cors_origins: [https://a/b]",
        ["1: cors_origins[0]: an origin is scheme, host and port only"],
    ),
    ("dns:\n  - 8.8.8.8\n  - dns.google", ["3: dns[1]: a name server is an IP address"]),
    ("dns: [8.8.8.8, 8.8.8.8]", ["1: dns[1]: '8.8.8.8' is used twice"]),
    ("access: {rules: }", ["1: access.rules: expected a list, got nothing"]),
    ("domain: 10.0.0.1", ["1: domain: must be a name, not an address"]),
    ("domain: '*.example.com'", ["1: domain: '*.example.com' is no host name"]),
    ("storage: {directory: ''}", ["1: storage.directory: may not be empty"]),
]


class ErrorTests(SynchronousTestCase):
    """Tests for error lines."""

    def test_table(self) -> None:
        """Each mistake gives exactly its errors: line, key and why."""
        for text, expected in CASES:
            found = errors(text)
            self.assertEqual(len(found), len(expected), (text, found))
            for line, start in zip(found, expected, strict=True):
                self.assertTrue(line.startswith(start), (text, line))

    def test_all_errors_are_reported(self) -> None:
        """One load reports every error, in the order of the file."""
        text = "\n".join(
            [
                "domain: 5",
                "storage: {max_size: 5, colour: 1}",
                "upstreams:",
                "  quay.io: {hosts: [a.example]}",
                "  gcr.io: {hosts: [a.example], serve_private: 1}",
                "limits: {connections: 0}",
                "limits: {}",
            ]
        )
        starts = [
            "1: domain:",
            "2: storage.colour:",
            "2: storage.max_size:",
            "5: upstreams.gcr.io.hosts[0]: a.example is used twice",
            "5: upstreams.gcr.io.serve_private:",
            "6: limits.connections:",
            "7: limits: duplicate key",
        ]
        found = errors(text)
        self.assertEqual(len(found), len(starts), found)
        for line, start in zip(found, starts, strict=True):
            self.assertTrue(line.startswith(start), line)

    def test_the_number_of_lines_is_bounded(self) -> None:
        """A file of nonsense gives a bounded report."""
        found = errors("\n".join(f"k{number}: 1" for number in range(2000)))
        self.assertEqual(len(found), 501)
        self.assertIn("1500 further errors", found[-1])
