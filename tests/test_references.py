"""What request targets mean."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.errors import DigestInvalidError, NameInvalidError, RegistryError, TagInvalidError
from regcache.references import (
    MAX_TARGET_LENGTH,
    Target,
    TargetKind,
    is_repository_name,
    is_tag,
    looks_like_registry,
    parse_query,
    parse_target,
)

HEX = "a" * 64
SHA = f"sha256:{HEX}"


class NameTests(SynchronousTestCase):
    """Repository names and tags."""

    def test_good_names(self) -> None:
        """Names of the specification's grammar are names."""
        for name in ("a", "library/alpine", "a.b/c_d/e__f/g-h/i---j", "0/1", "x" * 255):
            self.assertTrue(is_repository_name(name), name)

    def test_bad_names(self) -> None:
        """Anything else is not: case, empty or dotted parts, separators at the edges."""
        for name in (
            "",
            "A",
            "a/",
            "/a",
            "a//b",
            "a..b",
            "a/../b",
            "-a",
            "a-",
            "a___b",
            "a._b",
            "a b",
            "a\n",
            "a\x00b",
            "é",
            "x" * 256,
        ):
            self.assertFalse(is_repository_name(name), name)

    def test_tags(self) -> None:
        """Tags have 1 to 128 characters and begin with a word character."""
        for tag in ("latest", "_", "1..2", "V1-rc.2", "x" * 128):
            self.assertTrue(is_tag(tag), tag)
        for tag in ("", ".x", "-x", "a/b", "a:b", "x" * 129, "x\n"):
            self.assertFalse(is_tag(tag), tag)

    def test_escaped_colon(self) -> None:
        """The colon of a digest may be escaped, as libraries for URLs do it; nothing else may."""
        for tail in (f"sha256%3A{HEX}", f"sha256%3a{HEX}"):
            for kind in ("manifests", "blobs", "referrers"):
                target = parse_target(f"/v2/a/b/{kind}/{tail}?ns=x".encode())
                self.assertEqual((target.reference, target.path), (SHA, f"/v2/a/b/{kind}/{SHA}"))
        for path in (
            f"/v2/a%3A80/b/manifests/{SHA}",
            f"/v2/a/manifests/sha256%253A{HEX}",
            f"/v2/a/manifests/sha256%2F{HEX}",
            f"/v2/a/manifests/sha256%3A{HEX}/",
            f"/v2/a%3A{HEX}",
        ):
            self.assertRaises(RegistryError, parse_target, path.encode())

    def test_registries(self) -> None:
        """A component with a dot or colon, or localhost, is meant as a registry."""
        for component in ("ghcr.io", "host:5000", "localhost", "LOCALHOST"):
            self.assertTrue(looks_like_registry(component))
        self.assertFalse(looks_like_registry("library"))


class TargetTests(SynchronousTestCase):
    """Request targets that are good."""

    def assert_target(
        self, uri: str, kind: TargetKind, name: str = "", reference: str = ""
    ) -> None:
        """The path means this."""
        target = parse_target(uri.encode())
        self.assertEqual((target.kind, target.name, target.reference), (kind, name, reference))

    def test_kinds(self) -> None:
        """Every kind is found by the tail of the path."""
        self.assert_target("/v2", TargetKind.PING)
        self.assert_target("/v2/", TargetKind.PING)
        self.assert_target("/v2/_catalog", TargetKind.CATALOG)
        self.assert_target("/v2/a/b/manifests/1.0", TargetKind.MANIFEST, "a/b", "1.0")
        self.assert_target(f"/v2/a/manifests/{SHA}", TargetKind.MANIFEST, "a", SHA)
        self.assert_target(f"/v2/a/blobs/{SHA}", TargetKind.BLOB, "a", SHA)
        self.assert_target("/v2/a/tags/list", TargetKind.TAGS, "a")
        self.assert_target(f"/v2/a/referrers/{SHA}", TargetKind.REFERRERS, "a", SHA)

    def test_uploads(self) -> None:
        """All addresses of uploads are uploads."""
        for uri in ("/v2/a/b/blobs/uploads", "/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads/0-1"):
            self.assertEqual(parse_target(uri.encode()).kind, TargetKind.UPLOAD)
            self.assertEqual(parse_target(uri.encode()).name, "a/b")

    def test_words_of_the_api_in_names(self) -> None:
        """Names may hold the words of the API, since the tail decides."""
        self.assert_target("/v2/manifests/manifests/manifests", TargetKind.MANIFEST, "manifests",
                           "manifests")  # fmt: skip
        self.assert_target(
            "/v2/a/blobs/uploads/manifests/x", TargetKind.MANIFEST, "a/blobs/uploads", "x"
        )
        self.assert_target("/v2/a/manifests/tags/list", TargetKind.TAGS, "a/manifests")
        self.assert_target("/v2/a/tags/manifests/list", TargetKind.MANIFEST, "a/tags", "list")
        self.assert_target("/v2/tags/list/tags/list", TargetKind.TAGS, "tags/list")

    def test_registry_in_front(self) -> None:
        """The first component may be a registry, in any case and with a port."""
        for name in (
            "ghcr.io/org/app",
            "GHCR.io/a",
            "localhost:5000/a",
            "localhost/a",
            "10.0.0.1/a",
        ):
            self.assert_target(f"/v2/{name}/manifests/x", TargetKind.MANIFEST, name, "x")

    def test_other_paths(self) -> None:
        """What is no part of the API is of the kind other."""
        for uri in ("/", "/v1/", "/healthz", "/v2/a", "/v2/a/", "/v2/a/tags/list/", "/v2/a/b/c/d",
                    "/v2x", "/v2/a/manifests/", "/v2/_catalog/"):  # fmt: skip
            self.assertEqual(parse_target(uri.encode()).kind, TargetKind.OTHER, uri)

    def test_query(self) -> None:
        """The query is decoded, and keeps every value of a field."""
        target = parse_target(b"/v2/_catalog?n=5&last=a%2Fb&n=6&empty=&flag")
        self.assertEqual(
            target.query, {"n": ["5", "6"], "last": ["a/b"], "empty": [""], "flag": [""]}
        )

    def test_plus_stays(self) -> None:
        """A plus is a plus: media types have one."""
        query = parse_query("artifactType=application/vnd.x+json")
        self.assertEqual(query, {"artifactType": ["application/vnd.x+json"]})

    def test_empty_target_value(self) -> None:
        """A target without further facts has empty ones."""
        self.assertEqual(Target(TargetKind.PING).query, {})


class BadTargetTests(SynchronousTestCase):
    """Request targets that are refused."""

    def test_paths(self) -> None:
        """Escapes, relative and empty components, NUL and foreign characters are refused."""
        for uri in (
            b"",
            b"*",
            b"v2/",
            b"http://host/v2/",
            b"//host/v2/",
            b"/v2//",
            b"/v2/a//manifests/x",
            b"/v2/a%2fb/manifests/x",
            b"/v2/%2e%2e/manifests/x",
            b"/v2/../manifests/x",
            b"/v2/a/./manifests/x",
            b"/v2/a/manifests/..",
            b"/v2/a\x00/manifests/x",
            b"/v2/a\\b/manifests/x",
            b"/v2/\xc3\xa9/manifests/x",
            b"/v2/A/manifests/x",
            b"/v2/manifests/x",
            b"/v2/tags/list",
            b"/v2/" + b"a" * 256 + b"/manifests/x",
            b"/v2/" + b"h." * 130 + b"io/a/manifests/x",
            b"/v2/ghcr.io/A/manifests/x",
            b"/v2/-x.io/a/manifests/x",
            b"/v2/host:999999/a/manifests/x",
            b"/" + b"a" * MAX_TARGET_LENGTH,
        ):
            self.assertRaises(NameInvalidError, parse_target, uri)

    def test_references(self) -> None:
        """Bad tags and digests are told apart."""
        for tag in (b".x", b"-", b"a" * 129, b"~"):
            self.assertRaises(TagInvalidError, parse_target, b"/v2/a/manifests/" + tag)
        for digest in (b"sha256:abc", b"sha384:" + b"a" * 96, b"sha256:" + b"A" * 64, b"md5:1"):
            self.assertRaises(DigestInvalidError, parse_target, b"/v2/a/manifests/" + digest)
            self.assertRaises(DigestInvalidError, parse_target, b"/v2/a/blobs/" + digest)
        self.assertRaises(DigestInvalidError, parse_target, b"/v2/a/blobs/latest")
        self.assertRaises(DigestInvalidError, parse_target, b"/v2/a/referrers/latest")

    def test_queries(self) -> None:
        """Broken escapes, control characters, bad UTF-8 and too many fields are refused."""
        for query in ("a=%", "a=%2", "a=%zz", "a=%00", "a=%0d%0a", "a=%ff", "&".join("a" * 17)):
            self.assertRaises(NameInvalidError, parse_query, query)

    @given(st.binary(max_size=80))
    def test_nothing_else_is_raised(self, tail: bytes) -> None:
        """Any input is a target or an error with a status, and a name is a clean one."""
        for uri in (
            tail,
            b"/v2/" + tail,
            b"/v2/a/manifests/" + tail,
            b"/v2/" + tail + b"/tags/list",
        ):
            try:
                target = parse_target(uri)
            except RegistryError as error:
                self.assertEqual(error.status, 400)
                continue
            self.assertNotIn("..", target.name.split("/"))
            self.assertTrue(target.name == "" or is_repository_name(target.name.partition("/")[2])
                            or is_repository_name(target.name)
                            or looks_like_registry(target.name))  # fmt: skip
