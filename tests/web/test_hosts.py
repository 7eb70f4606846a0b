"""Which upstream a request means."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import NameInvalidError, NameUnknownError, RegistryError
from regcache.host_rules import HostRules, is_address
from regcache.references import Target, TargetKind, parse_target
from regcache.web.hosts import (
    AdminHostError,
    InvalidHostError,
    RoutingTable,
    UpstreamNames,
    normalise_host,
    resolve,
    resolve_namespace,
)
from tests.web.routing_rows import DOCKER, GHCR, ROWS, SETUPS, Row

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"


def outcome(row: Row) -> tuple[str, str]:
    """Where a request of the table goes, through the parser of targets."""
    query = "" if row.ns is None else f"?ns={row.ns}"
    target = parse_target(f"/v2/{row.name}/manifests/latest{query}".encode())
    host = None if row.host is None else normalise_host(row.host)
    try:
        route = resolve(SETUPS[row.setup], host, target)
    except RegistryError as error:
        return "", f"{error.status} {error.code}"
    return route.upstream, route.repository


class TruthTableTests(SynchronousTestCase):
    """The table of section "Which upstream answers" in docs/clients.md."""

    def test_rows(self) -> None:
        """Every row of the table holds."""
        for row in ROWS:
            self.assertEqual(outcome(row), (row.upstream, row.repository), row)

    def test_documentation(self) -> None:
        """The documentation prints exactly these rows, in this order."""
        lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
        first = lines.index("| setup | Host | repository in the path | ns | goes to |") + 2
        self.assertEqual(
            lines[first : first + len(ROWS) + 1], [*(row.markdown() for row in ROWS), ""]
        )

    def test_namespace_is_repeated(self) -> None:
        """The ns is given back as it was asked, and only then."""
        table = SETUPS["plain"]
        asked = Target(TargetKind.TAGS, name="org/app", query={"ns": ["GHCR.io"]})
        self.assertEqual(resolve(table, "localhost", asked).namespace, "GHCR.io")
        plain = Target(TargetKind.TAGS, name="org/app")
        self.assertIsNone(resolve(table, "localhost", plain).namespace)

    def test_several_ns(self) -> None:
        """Several ns must mean the same upstream."""
        table = SETUPS["plain"]
        same = Target(TargetKind.TAGS, name="a/b", query={"ns": ["docker.io", "index.docker.io"]})
        self.assertEqual(resolve(table, "localhost", same).upstream, DOCKER)
        other = Target(TargetKind.TAGS, name="a/b", query={"ns": ["docker.io", "ghcr.io"]})
        self.assertRaises(NameUnknownError, resolve, table, "localhost", other)

    def test_too_long_with_namespace(self) -> None:
        """The limit of a name holds for what is asked of the upstream."""
        target = Target(TargetKind.TAGS, name="x" * 255)
        self.assertRaises(NameInvalidError, resolve, SETUPS["plain"], "localhost", target)

    def test_admin_host_is_told_apart(self) -> None:
        """A host of the operator is an error of its own, and also a 404."""
        error = self.assertRaises(
            AdminHostError,
            resolve,
            SETUPS["hosts"],
            "registry.example.com",
            Target(TargetKind.TAGS, name="a"),
        )
        self.assertEqual(error.status, 404)
        self.assertTrue(SETUPS["hosts"].is_admin_host("registry.example.com"))
        self.assertFalse(SETUPS["hosts"].is_admin_host(None))


class CatalogTests(SynchronousTestCase):
    """Requests that name no repository."""

    def test_namespace(self) -> None:
        """Host or ns choose an upstream, nothing chooses all, and a disagreement is an error."""
        table = SETUPS["hosts"]
        nothing = Target(TargetKind.CATALOG)
        by_ns = Target(TargetKind.CATALOG, query={"ns": ["ghcr.io"]})
        unknown = Target(TargetKind.CATALOG, query={"ns": ["evil.test"]})
        self.assertIsNone(resolve_namespace(table, "127.0.0.1", nothing))
        self.assertIsNone(resolve_namespace(table, None, nothing))
        self.assertEqual(resolve_namespace(table, "127.0.0.1", by_ns), GHCR)
        self.assertEqual(resolve_namespace(table, "docker.example.com", nothing), DOCKER)
        for host, target in (("docker.example.com", by_ns), ("127.0.0.1", unknown)):
            self.assertRaises(NameUnknownError, resolve_namespace, table, host, target)


class HostTests(SynchronousTestCase):
    """Host headers and host patterns."""

    def test_normalised(self) -> None:
        """Case, port and a trailing dot do not matter; addresses are canonical."""
        for raw, host in (
            ("Example.COM", "example.com"),
            ("example.com:443", "example.com"),
            ("example.com.:443", "example.com"),
            ("example.com:", "example.com"),
            ("my_registry:5000", "my_registry"),
            ("127.0.0.1:5000", "127.0.0.1"),
            ("[::1]:5000", "::1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("", None),
        ):
            self.assertEqual(normalise_host(raw), host)

    def test_invalid(self) -> None:
        """Any text that is no name or address is refused."""
        for raw in (
            "<script>",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:123456",
            ":80",
            "::1",
            "[::1",
            "[::1]x",
            "[gg::1]",
            "[127.0.0.1]",
            "a..b",
            ".a",
            "-a",
            "a\r\nb",
            "a\x00",
            "é",
            "a,b",
            "a" * 256,
            "a..",
        ):
            self.assertRaises(InvalidHostError, normalise_host, raw)

    def test_addresses(self) -> None:
        """IPv4 and IPv6 literals are addresses; names that resemble them are not."""
        self.assertTrue(is_address("10.0.0.1"))
        self.assertTrue(is_address("::1"))
        self.assertFalse(is_address("10.0.0.1.example"))
        self.assertFalse(is_address("010.0.0.1"))

    def test_wildcards(self) -> None:
        """An exact name wins, then the longest wildcard; the bare domain is not covered."""
        rules = HostRules.build(
            [("*.b.test", "long"), ("*.test", "short"), ("x.B.test.", "exact")],
        )
        self.assertEqual(rules.find("x.b.test"), "exact")
        self.assertEqual(rules.find("y.b.test"), "long")
        self.assertEqual(rules.find("z.y.b.test"), "long")
        self.assertEqual(rules.find("b.test"), "short")
        self.assertIsNone(rules.find("test"))
        self.assertIsNone(rules.find("xb.test2"))


class PermissionTests(SynchronousTestCase):
    """Which repositories of an upstream are served."""

    def test_deny_wins(self) -> None:
        """What is denied is not served even if it is allowed."""
        upstream = UpstreamNames("u", allow=("a/*",), deny=("a/b",))
        table = RoutingTable.build([upstream], default_upstream="u")
        self.assertEqual(
            resolve(table, "localhost", Target(TargetKind.TAGS, name="a/c")).repository, "a/c"
        )
        for name in ("a/b", "c/d"):
            target = Target(TargetKind.TAGS, name=name)
            self.assertRaises(NameUnknownError, resolve, table, "localhost", target)


class MemoryTests(SynchronousTestCase):
    """What is remembered of hosts."""

    def test_bounded(self) -> None:
        """However many names are sent, few are remembered, and wrong ones not at all."""
        for number in range(5000):
            normalise_host(f"host-{number}.example.com")
        held = normalise_host.cache_info()
        self.assertEqual(held.currsize, held.maxsize)
        self.assertLessEqual(held.currsize, 1024)
        normalise_host.cache_clear()
        for raw in ("a b", "x" * 300):
            self.assertRaises(InvalidHostError, normalise_host, raw)
        self.assertEqual(normalise_host.cache_info().currsize, 0)
