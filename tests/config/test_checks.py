"""Tests for values that contradict each other, and for warnings."""

import os
import sys
from datetime import timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.loading import load
from regcache.config.problems import ConfigError
from tests.config.helpers import errors, loaded, warnings
from tests.support.certificates import Authority, Certificate


class HostTests(SynchronousTestCase):
    """Tests that no host name means two things."""

    def test_used_twice(self) -> None:
        """Hosts, names, aliases and admin hosts are one set of names."""
        table = {
            "quay.io: {hosts: [a.b]}\n  gcr.io: {hosts: [A.b.]}": "3: upstreams.gcr.io.hosts[0]",
            "quay.io: {hosts: [a.b, a.b]}": "2: upstreams.quay.io.hosts[1]",
            "quay.io: \n  gcr.io: {hosts: [quay.io]}": "3: upstreams.gcr.io.hosts[0]",
            "quay.io: {aliases: [x.y]}\n  gcr.io: {aliases: [x.y]}": (
                "3: upstreams.gcr.io.aliases[0]"
            ),
            "docker.io: \n  gcr.io: {hosts: [index.docker.io]}": "3: upstreams.gcr.io.hosts[0]",
            "docker.io: \n  index.docker.io: {urls: [http://a]}": "3: upstreams.index.docker.io",
            "docker.io: \n  gcr.io: {hosts: [docker.ex.org]}\ndomain: ex.org": (
                "3: upstreams.gcr.io.hosts[0]"
            ),
            "quay.io: {hosts: [registry.ex.org]}\ndomain: ex.org": "2: upstreams.quay.io.hosts[0]",
        }
        for text, where in table.items():
            found = errors(f"upstreams:\n  {text}")
            self.assertEqual(len(found), 1, (text, found))
            self.assertTrue(found[0].startswith(f"{where}: "), found)
            self.assertIn("is used twice", found[0])

    def test_admin_hosts(self) -> None:
        """An admin host that is an upstream's is named on its own line."""
        found = errors("upstreams: {quay.io: {hosts: [a.b]}}\nadmin:\n  hosts: [a.b]")
        self.assertIn("3: admin.hosts[0]: a.b is used twice: it already means", "\n".join(found))

    def test_the_same_upstream(self) -> None:
        """A name may be host and alias of the same upstream."""
        self.assertEqual(errors("upstreams: {docker.io: {hosts: [registry-1.docker.io]}}"), [])


class ListenerTests(SynchronousTestCase):
    """Tests for listeners."""

    def setUp(self) -> None:
        self.authority = Authority(Path(self.mktemp()))

    def listener(self, files: Certificate, key: Path | None = None, more: str = "") -> str:
        """A TLS listener."""
        pair = f"{{chain: '{files.chain.absolute()}', key: '{(key or files.key).absolute()}'}}"
        return f"listeners:\n- endpoint: 443\n  tls: {{certificates: [{pair}]}}\n{more}"

    def test_twice(self) -> None:
        """One place is listened on once; any free port may be asked for often."""
        found = errors("listeners: [{endpoint: 80},\n {endpoint: 80}]")
        self.assertEqual(
            found, ["2: listeners[1].endpoint: 80 is used twice: by listeners[0].endpoint too"]
        )
        self.assertEqual(len(errors("listeners: [{endpoint: 'tcp:5001:interface=127.0.0.1'}]")), 1)
        self.assertEqual(errors("listeners: [{endpoint: 'tcp:0'}, {endpoint: 'tcp:0'}]"), [])

    def test_tls_contradictions(self) -> None:
        """A TLS listener neither redirects to https nor answers ACME challenges."""
        files = self.authority.issue("a.example")
        more = "  redirect: https\n  acme_webroot: /x\n"
        found = errors(self.listener(files, more=more))
        self.assertEqual(
            [line.split(": ")[:2] for line in found],
            [["4", "listeners[0].redirect"], ["5", "listeners[0].acme_webroot"]],
        )

    def test_pairs(self) -> None:
        """A key that is not the certificate's is an error, as is a file that is neither."""
        one, two = self.authority.issue("a.example"), self.authority.issue("b.example")
        (found,) = errors(self.listener(one, two.key))
        self.assertTrue(found.startswith("3: listeners[0].tls.certificates[0].key: "), found)
        self.assertIn("is not the key of", found)
        (found,) = errors(self.listener(one, one.chain))
        self.assertIn("holds no valid PEM private key", found)
        one.chain.write_text("nothing")
        (found,) = errors(self.listener(one))
        self.assertIn("holds no valid PEM certificate", found)

    def test_ends(self) -> None:
        """A certificate that has expired, or does so within days, is a warning with its date."""
        for life, told in ((-1, "expired on 20"), (3, ", in 2 days: renew it"), (60, "")):
            files = self.authority.issue("a.example", life=timedelta(days=life))
            files.key.chmod(0o600)
            found = [line for line in warnings(self.listener(files)) if "expire" in line]
            self.assertEqual(len(found), bool(told), found)
            for line in found:
                self.assertTrue(
                    line.startswith("3: listeners[0].tls.certificates[0].chain: "), line
                )
                self.assertIn(told, line)

    def test_coverage(self) -> None:
        """A host that no certificate covers is a warning; wildcards cover one label."""
        files = self.authority.issue("*.example.com", "other.net", "10.0.0.5")
        files.key.chmod(0o600)
        hosts = (
            "[a.example.com, a.b.example.com, example.com, other.net, 10.0.0.5, '*.example.com']"
        )
        more = f"upstreams: {{quay.io: {{hosts: {hosts}}}}}\n"
        found = [line for line in warnings(self.listener(files, more=more)) if "covers" in line]
        self.assertEqual(
            found,
            [
                "4: upstreams.quay.io.hosts[1]: no certificate covers a.b.example.com",
                "4: upstreams.quay.io.hosts[2]: no certificate covers example.com",
            ],
        )

    def test_coverage_of_derived_hosts(self) -> None:
        """A host made from the domain is reported at the domain's line."""
        more = "domain: example.org\nupstreams: {quay.io: }\n"
        found = warnings(self.listener(self.authority.issue("quay.example.org"), more=more))
        self.assertIn("4: domain: no certificate covers registry.example.org", found)

    def test_trusted_proxies(self) -> None:
        """To believe everybody is a warning; what is no network is an error."""
        text = (
            "access: {htpasswd: null, trusted_proxies: [10.0.0.0/8, '::/0', 0.0.0.0/0, 10.1.1.1]}"
        )
        self.assertEqual(
            [line for line in warnings(text) if "believed" in line],
            [
                f"1: access.trusted_proxies[{number}]: everybody is believed who they say they are"
                for number in (1, 2)
            ],
        )
        (found,) = errors("access: {trusted_proxies: [proxy.example.com]}")
        self.assertIn("1: access.trusted_proxies[0]: 'proxy.example.com' is no network", found)

    def test_seats(self) -> None:
        """A file of seats that others may read is a warning, one with a fault an error."""
        path = Path(self.mktemp()).absolute()
        text = f"access: {{seats: '{path}'}}"
        told = [each for each in warnings(text) if "seats" in each]
        self.assertEqual(told, [])  # it is made when the daemon starts
        path.write_text("alice: {host: k3j9x2fq7m}")
        path.chmod(0o600)
        self.assertEqual([each for each in warnings(text) if "seats" in each], [])
        path.chmod(0o644)
        (told_now,) = (each for each in warnings(text) if "seats" in each)
        self.assertIn(f"every local user may read {path}", told_now)
        path.write_text("alice: {hst: x}")
        (found,) = errors(text)
        self.assertIn(f"access.seats: {path}:1: alice.hst: unknown key", found)
        self.assertIn(
            "1: access.knock: has no effect without access.seats",
            warnings("access: {knock: 24h, rules: [{accounts: [anonymous]}]}"),
        )

    def test_client_ca(self) -> None:
        """It must hold authorities; without accounts nobody is anybody by a certificate."""
        files = self.authority.issue("a.example")
        files.key.chmod(0o600)
        for content, why in (
            ("nothing", "holds no valid PEM certificate"),
            (files.chain.read_text(), "holds a certificate (number 1) that is no authority's"),
        ):
            path = Path(self.mktemp())
            path.write_text(content)
            tls = f"chain: '{files.chain}', key: '{files.key}', client_ca: '{path.absolute()}'"
            (found,) = errors(f"tls: {{{tls}}}")
            self.assertIn(f"1: tls.client_ca: {path.absolute()} {why}", found)
        tls = f"chain: '{files.chain}', key: '{files.key}', client_ca: '{self.authority.file}'"
        self.assertIn(
            "1: tls.client_ca: no certificate is anybody's without access.htpasswd or access.seats",
            warnings(f"tls: {{{tls}}}"),
        )

    def test_open_proxy(self) -> None:
        """A listener that others reach is a warning, loopback and redirects are none."""
        text = (
            "listeners: [{endpoint: 5000}, {endpoint: 'tcp:1:interface=127.0.0.1'},"
            " {endpoint: 80, redirect: https}, {endpoint: 'unix:/x'}]"
        )
        (found,) = warnings(text)
        self.assertTrue(found.startswith("1: listeners[0].endpoint: an open proxy"), found)

    def test_hsts_without_tls(self) -> None:
        """HSTS on a plain listener is a warning."""
        text = "listeners: [{endpoint: 'tcp:1:interface=127.0.0.1', hsts: true}]"
        self.assertEqual(warnings(text), ["1: listeners[0].hsts: has no effect without tls"])

    def test_http2_without_tls(self) -> None:
        """HTTP/2 is spoken over TLS only, so it is a warning on a plain listener."""
        text = "listeners: [{endpoint: 'tcp:1:interface=127.0.0.1', http2: true}]"
        self.assertEqual(warnings(text), ["1: listeners[0].http2: has no effect without tls"])
        self.assertEqual(errors(text), [])

    def test_http2_without_its_library(self) -> None:
        """Where the library for HTTP/2 is missing a warning says what to install."""
        text = self.listener(self.authority.issue("a.example"), more="  http2: true\n")
        before = warnings(text)
        self.patch(sys, "modules", {**sys.modules, "h2": None})
        (found,) = set(warnings(text)) - set(before)
        self.assertTrue(found.startswith("4: listeners[0].http2: has no effect"), found)
        self.assertIn("apt install python3-h2", found)


class OtherTests(SynchronousTestCase):
    """Tests for admin, access and secrets."""

    def test_admin_socket(self) -> None:
        """A path that no socket can have is refused before anything is opened."""
        (found,) = errors(f"admin: {{socket: /run/{'x' * 103}}}")
        self.assertIn("1: admin.socket: is longer than a path of a socket may be", found)
        self.assertEqual(errors(f"admin: {{socket: /run/{'x' * 102}}}"), [])

    def test_admin_endpoint(self) -> None:
        """An admin endpoint off loopback needs an account with admin."""
        for endpoint in ("5001", "'tcp:5001'", "'haproxy:tcp:5001:interface=127.0.0.1'"):
            (found,) = errors(f"admin: {{endpoint: {endpoint}}}")
            self.assertTrue(found.startswith("1: admin.endpoint: is not on loopback"), found)
        for endpoint in ("null", "'unix:/x'", "'tcp:5001:interface=127.0.0.2'"):
            self.assertEqual(errors(f"admin: {{endpoint: {endpoint}}}"), [])

    def test_rules(self) -> None:
        """A rule grants to somebody who can exist, on upstreams that exist."""
        found = errors("access:\n  rules:\n  - {upstreams: [zz.io]}\n  - {accounts: [bob]}\n")
        self.assertIn("3: access.rules[0].accounts: missing", found)
        found = errors("access:\n  rules: [{accounts: [anonymous], upstreams: [zz.io]}]\n")
        self.assertEqual(found, ["2: access.rules[0].upstreams[0]: zz.io is none of the upstreams"])
        found = errors("access:\n  rules:\n  - {}\n  - {accounts: [bob]}\n")
        self.assertIn(
            "4: access.rules[1].accounts: needs access.htpasswd, access.seats or access.token",
            found,
        )

    def test_private(self) -> None:
        """Private images for everybody are a warning, and so is the key without credentials."""
        (found,) = warnings("upstreams: {quay.io: {serve_private: true}}")
        self.assertIn("serve_private: has no effect without credentials", found)
        (found,) = warnings("upstreams: {quay.io: {serve_private: true, username: a, password: b}}")
        self.assertIn("serve_private: everybody who reaches this proxy may pull", found)

    def write(self, text: str, mode: int) -> str:
        """A configuration file."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def test_passwords_in_a_readable_file(self) -> None:
        """A password in a world-readable file is a warning; from the environment it is none."""
        text = (
            "upstreams:\n  quay.io: {username: a, password: s3cret}\n"
            "  gcr.io: {username: a, password: '${X}'}\n"
        )
        path = self.write(text, 0o644)
        (found,) = load(path, {"X": "y"}).warnings
        self.assertTrue(found.startswith(f"{path}:2: upstreams.quay.io.password: "), found)
        self.assertNotIn("s3cret", found)
        self.assertEqual(load(self.write(text, 0o640), {"X": "y"}).warnings, [])

    def test_files_that_cannot_be_read(self) -> None:
        """A missing, huge or binary file and a folder are one line."""
        huge, binary = self.write("#" * 1024**2 + "#", 0o600), Path(self.mktemp())
        binary.write_bytes(b"a: 1\nb: \xff\n")
        for path, why in {
            "/nowhere/x.yml": ":1: cannot be read: No such file or directory",
            os.getcwd(): ":1: cannot be read: Is a directory",
            "a\0b": ":1: cannot be read: not a path",
            huge: ":1: is larger than 1 MiB",
            str(binary): ":2: is not UTF-8",
        }.items():
            fault = self.assertRaises(ConfigError, load, path, {})
            self.assertEqual(len(fault.lines), 1)
            self.assertTrue(fault.lines[0].endswith(why), fault.lines)

    def test_byte_order_mark(self) -> None:
        """A byte order mark is ignored."""
        self.assertEqual(
            load(self.write("\ufefflog: {access: false}", 0o600), {}).config.log.access, False
        )
        self.assertTrue(loaded("log: {}").config.log.access)
