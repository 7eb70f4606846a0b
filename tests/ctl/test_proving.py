"""regcachectl prove: what a client meets, and what it comes to."""

import contextlib
import hashlib
import io
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import SplitResult, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.steps import ClientLogin
from regcache.ctl import proving
from regcache.ctl.client_password import PASSWORD_VARIABLE
from regcache.ctl.main import parser
from regcache.ctl.naming import image_name
from regcache.ctl.proof import BypassError, PullProof
from regcache.ctl.proving import prove
from regcache.ctl.pulling import MANNERS, PullWish
from regcache.ctl.registry_connection import NoTLSError, RegistryAnswer
from regcache.digests import Digest, Hasher
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.support.certificates import Authority

HIT, MISS = "regcache; hit", "regcache; fwd=uri-miss; stored"
CONFIG, LAYER = b'{"os": "linux"}', b"layer" * 1000
ALICE = ClientLogin("alice", "secret")
_PLAIN = "http://cache.test:5000"


def descriptor(content: bytes, **more: Any) -> dict[str, Any]:
    """Of some content."""
    return {"digest": str(Digest.of(content)), "size": len(content), **more}


def document(media_type: str, **more: Any) -> bytes:
    """A manifest."""
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **more}).encode()


MANIFEST = document(OCI_MANIFEST, config=descriptor(CONFIG), layers=[descriptor(LAYER)])
INDEX = document(
    OCI_INDEX,
    manifests=[
        descriptor(
            MANIFEST,
            mediaType=OCI_MANIFEST,
            platform={"os": "linux", "architecture": "amd64"},
        )
    ],
)


class FakeCache:
    """Answers as a cache does that has an image.

    :ivar status: the Cache-Status of its answers.
    :ivar urls: all that were connected to.
    :ivar answers: other answers, by method and path without query.
    :ivar challenge: sent to a client that shows no proof of ``proofs``.
    :ivar asked: method, target and ``Authorization`` of each request.
    """

    def __init__(self) -> None:
        self.status = HIT
        self.urls: list[SplitResult] = []
        self.answers: dict[str, RegistryAnswer | Exception] = {}
        self.challenge = ""
        self.proofs = {ALICE.basic, "Bearer T"}
        self.asked: list[tuple[str, str, str]] = []
        self.base = "/v2/library/hello-world"
        self.contents = {
            f"manifests/{Digest.of(INDEX)}": (INDEX, OCI_INDEX),
            f"manifests/{Digest.of(MANIFEST)}": (MANIFEST, OCI_MANIFEST),
            f"blobs/{Digest.of(CONFIG)}": (CONFIG, ""),
            f"blobs/{Digest.of(LAYER)}": (LAYER, ""),
            "manifests/latest": (INDEX, OCI_INDEX),
        }

    def connect(self, url: SplitResult) -> "FakeCache":
        """A connection to it."""
        self.url = url
        self.urls.append(url)
        return self

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], hasher: Hasher | None = None
    ) -> RegistryAnswer:
        """An answer."""
        shown = headers.get("Authorization", "")
        self.asked.append((method, target, shown))
        path = target.partition("?")[0]
        other = self.answers.get(f"{method} {path}")
        if isinstance(other, Exception):
            raise other
        if other is not None:
            return other
        if self.challenge and shown not in self.proofs:
            return RegistryAnswer(401, {"www-authenticate": self.challenge})
        if path == "/v2/":
            return RegistryAnswer(200)
        return self._content(method, path.removeprefix(self.base + "/"), hasher)

    def _content(self, method: str, name: str, hasher: Hasher | None) -> RegistryAnswer:
        if name not in self.contents:
            error = {"errors": [{"code": "NAME_UNKNOWN", "message": "no upstream is served"}]}
            return RegistryAnswer(404, {}, json.dumps(error).encode())
        content, media_type = self.contents[name]
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        headers = {"cache-status": self.status, "docker-content-digest": digest}
        headers["content-type"] = media_type
        if method == "HEAD":
            return RegistryAnswer(200, headers)
        if hasher is not None:
            hasher.update(content)
            return RegistryAnswer(200, headers, b"", len(content))
        return RegistryAnswer(200, headers, content, len(content))


class ProveCase(SynchronousTestCase):
    """A cache that has docker.io/library/hello-world."""

    def setUp(self) -> None:
        self.cache = FakeCache()

    def prove(
        self,
        tool: str = "containerd",
        login: ClientLogin | None = None,
        url: str = _PLAIN,
        image: str = "hello-world",
    ) -> PullProof:
        """Pull it."""
        named = image_name(image)
        wish = PullWish(urlsplit(url), named, MANNERS[tool], "linux/amd64", login=login)
        return prove([wish], self.cache.connect)[1]

    def assert_bypass(self, why: str, **how: Any) -> None:
        """The client would go elsewhere, and this says why."""
        proof = self.prove(**how)
        self.assertEqual(proof.verdict, "bypass", proof)
        self.assertIn(why, proof.reason)
        self.assertNotIn("\n", proof.reason)


class VerdictTests(ProveCase):
    """Hit, miss and bypass."""

    def test_hit(self) -> None:
        """All of it came from the cache."""
        proof = self.prove()
        self.assertEqual(
            (proof.verdict, proof.reason), ("hit", "all 5 answers came from the cache")
        )
        kinds = [each.kind for each in proof.parts]
        self.assertEqual(kinds, ["tag", "manifest", "manifest", "config", "layer"])

    def test_miss(self) -> None:
        """Something had to be fetched; a tag that is revalidated, or stale as it was, is a hit."""
        for status, verdict in (
            (MISS, "miss"),
            ("regcache; fwd=uri-miss; detail=relay", "miss"),
            ("regcache; fwd=uri-miss; stored; collapsed", "miss"),
            ("regcache; hit; detail=revalidated", "hit"),
            ("regcache; hit; ttl=-90; detail=stale", "hit"),
            ("regcache; fwd=stale; fwd-status=503", "hit"),
            ("regcache; fwd=stale; detail=deadline", "hit"),
            ("regcache; fwd=stale; detail=unreachable", "hit"),
            ("regcache; fwd=stale; fwd-status=200", "miss"),
        ):
            self.cache.status = status
            self.assertEqual(self.prove().verdict, verdict, status)
        self.cache.status = "regcache; fwd=uri-miss; detail=relay"
        self.assertIn("not kept", self.prove().reason)

    def test_another(self) -> None:
        """Another registry answers."""
        for status in ("", "nginx; hit", "other; fwd=miss"):
            self.cache.status = status
            self.assert_bypass("is not regcache")

    def test_errors(self) -> None:
        """Errors have the words of the cache, redirects their host."""
        path = f"GET /v2/library/hello-world/blobs/{Digest.of(LAYER)}"
        body = b'{"errors": [{"code": "DENIED", "message": "by a rule"}]}'
        for answer, why in (
            (RegistryAnswer(403, {}, body), "403: DENIED: by a rule"),
            (RegistryAnswer(502, {}, b"<html>"), "502: without a word"),
            (RegistryAnswer(200, {"cache-status": HIT}, b"", 7), "is not sha256:"),
            (RegistryAnswer(307, {"location": "https://cdn.test/x?sig=secret"}), "to cdn.test"),
            (RegistryAnswer(307, {"location": "http://["}), "to what is no URL"),
            (RegistryAnswer(403, {}, b"[" * 100_000), "403: without a word"),
            (BypassError("cache.test does not answer"), "does not answer"),
        ):
            self.cache.answers[path] = answer
            self.assert_bypass(why)
            self.assertNotIn("secret", self.prove().reason)

    def test_wrong_manifests(self) -> None:
        """A manifest that is another one, or none, is found."""
        path = f"GET /v2/library/hello-world/manifests/{Digest.of(INDEX)}"
        headers = {"cache-status": HIT, "content-type": OCI_INDEX}
        self.cache.answers[path] = RegistryAnswer(200, headers, MANIFEST, 1)
        self.assert_bypass("the manifest that came is not sha256:")
        self.cache.contents["manifests/latest"] = (b"[]", OCI_INDEX)
        self.assert_bypass("is no manifest", tool="podman")

    def test_platform(self) -> None:
        """An image that has nothing for the machine says so."""
        wish = PullWish(
            urlsplit(_PLAIN), image_name("hello-world"), MANNERS["podman"], "linux/s390x"
        )
        _, proof = prove([wish], self.cache.connect)
        self.assertIn("nothing for linux/s390x", proof.bypass)


class MannerTests(ProveCase):
    """What each client asks."""

    def targets(self, tool: str, url: str = _PLAIN) -> list[str]:
        """The first requests."""
        self.cache.asked.clear()
        self.prove(tool, url=url)
        return [f"{method} {target}" for method, target, _ in self.cache.asked[:2]]

    def test_first_requests(self) -> None:
        """The table at the top of the module."""
        ping, head = "GET /v2/", "HEAD /v2/library/hello-world/manifests/latest"
        for tool in ("containerd", "k3s", "buildkit", "kubelet", "nerdctl"):
            self.assertEqual(self.targets(tool)[0], f"{head}?ns=docker.io")
        self.assertEqual(self.targets("docker"), [ping, head])
        for tool in ("podman", "crio"):
            self.assertEqual(self.targets(tool), [ping, head.replace("HEAD", "GET")])
        self.assertEqual(
            set(MANNERS),
            {
                *("containerd", "k3s", "buildkit", "kubelet", "nerdctl"),
                *("docker", "podman", "crio"),
            },
        )

    def test_prefix(self) -> None:
        """A path names the registry, and no ns is sent."""
        self.cache.base = "/v2/docker.io/library/hello-world"
        found = self.targets("containerd", f"{_PLAIN}/docker.io/")
        self.assertEqual(found[0], "HEAD /v2/docker.io/library/hello-world/manifests/latest")
        self.assertEqual(self.prove("podman", url=f"{_PLAIN}/docker.io").verdict, "hit")


class LoginTests(ProveCase):
    """Challenges."""

    def test_basic(self) -> None:
        """containerd shows its header at once, others when they are asked."""
        self.cache.challenge = 'Basic realm="x"'
        self.assertEqual(self.prove("containerd", ALICE).verdict, "hit")
        self.assertEqual(self.cache.asked[0][2], ALICE.basic)
        self.cache.asked.clear()
        self.assertEqual(self.prove("podman", ALICE).verdict, "hit")
        self.assertEqual([shown for _, _, shown in self.cache.asked[:2]], ["", ALICE.basic])
        self.assert_bypass("an account is needed")
        self.assert_bypass("401 to the login", login=ClientLogin("alice", "wrong"))

    def test_docker_mirror(self) -> None:
        """Docker shows a mirror no login, given or not; what is pulled by name it does."""
        path = "/library/hello-world"
        for challenge in ('Basic realm="x"', 'Bearer realm="http://cache.test:5000/token"'):
            self.cache.challenge = challenge
            self.cache.answers["GET /token"] = RegistryAnswer(401, {}, b"{}")
            self.cache.asked.clear()
            self.assertEqual(self.prove("docker", ALICE).verdict, "bypass")
            self.assertEqual({shown for _, _, shown in self.cache.asked}, {""})
        self.cache.challenge = 'Basic realm="x"'
        self.assertIn("Docker shows mirrors none", self.prove("docker", ALICE).reason)
        for url, base, image in (
            (f"{_PLAIN}/docker.io", f"/v2/docker.io{path}", f"docker.io{path}"),
            (_PLAIN, f"/v2{path}", f"cache.test:5000{path}"),
            (_PLAIN, f"/v2{path}", f"ghcr.io{path}"),
        ):
            self.cache.base = base
            proof = self.prove("docker", ALICE, url, image)
            self.assertEqual(proof.verdict, "hit", (url, image))

    def test_token(self) -> None:
        """A token is fetched from the realm, by the account where it may be shown there."""
        for realm, seen in (
            ("http://cache.test:5000/token", ALICE.basic),
            ("https://auth.test/token", ALICE.basic),
            ("http://auth.test/token", ""),
        ):
            self.cache.challenge = f'Bearer realm="{realm}",service="s",scope="a:b c"'
            self.cache.answers["GET /token"] = RegistryAnswer(200, {}, b'{"token": "T"}')
            self.cache.asked.clear()
            self.assertEqual(self.prove("podman", ALICE).verdict, "hit", realm)
            asked = ("GET", "/token?service=s&scope=a%3Ab+c", seen)
            self.assertEqual(self.cache.asked[1], asked)

    def test_token_over_less(self) -> None:
        """Who connects with TLS shows the account to no realm without, be it the same host."""
        self.cache.answers["GET /token"] = RegistryAnswer(200, {}, b'{"token": "T"}')
        for realm in ("http://cache.test/token", "http://cache.test:443/token"):
            self.cache.challenge = f'Bearer realm="{realm}"'
            self.cache.asked.clear()
            self.prove("podman", ALICE, f"https://{urlsplit(realm).netloc}")
            self.assertEqual(self.cache.asked[1], ("GET", "/token?", ""))

    def test_no_token(self) -> None:
        """A realm that gives none, or is none."""
        self.cache.challenge = 'Bearer realm="http://cache.test:5000/token"'
        for answer, why in (
            (RegistryAnswer(503), "answers 503"),
            (RegistryAnswer(200, {}, b"[]"), "gives no token"),
            (RegistryAnswer(200, {}, b"{}"), "gives no token"),
            (RegistryAnswer(200, {}, b"[" * 100_000), "gives no token"),
        ):
            self.cache.answers["GET /token"] = answer
            self.assert_bypass(why)
        for realm in (
            *("ftp://x", "https://h:abc/", "https://h:99999/", "http://[", "https:///t"),
            *("https://a b/", "https://h:0/", "https://a..b/", "https://u:p@h/", "//h/t"),
        ):
            self.cache.challenge = f'Bearer realm="{realm}"'
            self.assert_bypass("is no URL")
        self.cache.challenge = "Negotiate"
        self.assert_bypass("not what proof is wanted")


class CommandTests(ProveCase):
    """The command line."""

    def command(self, *words: str) -> tuple[int, str, str]:
        """Status, output and errors."""
        options = parser().parse_args(["prove", *words])
        out, errors = io.StringIO(), io.StringIO()
        self.contexts: dict[str, ssl.SSLContext] = {}

        def connect(url: SplitResult, context: ssl.SSLContext, _: float) -> FakeCache:
            self.contexts[url.netloc] = context
            return self.cache.connect(url)

        with (
            patch.object(proving, "RegistryConnection", connect),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(errors),
        ):
            status: int = options.run(options)
        return status, out.getvalue(), errors.getvalue()

    def test_status(self) -> None:
        """0 for hit and miss, 1 for bypass; --json has each answer."""
        words = (_PLAIN, "--platform", "linux/amd64")
        status, out, _ = self.command(*words)
        self.assertEqual(status, 0)
        self.assertTrue(out.endswith("hit: all 5 answers came from the cache\n"), out)
        self.cache.status = MISS
        status, out, _ = self.command(*words, "--json")
        told = json.loads(out)
        self.assertEqual((status, told["verdict"], len(told["parts"])), (0, "miss", 5))
        self.assertEqual(told["image"], "docker.io/library/hello-world:latest")
        self.cache.status = ""
        self.assertEqual(self.command(*words)[0], 1)

    def test_plain(self) -> None:
        """Without a scheme TLS is tried first; it is said where there is none."""
        self.cache.answers["HEAD /v2/library/hello-world/manifests/latest"] = NoTLSError("no TLS")
        status, out, _ = self.command("cache.test:5000")
        self.assertEqual((status, self.cache.url.scheme), (1, "http"))
        self.cache.answers.clear()
        _, out, _ = self.command("cache.test:5000", "--json")
        self.assertEqual(json.loads(out)["url"], "https://cache.test:5000/")

    def test_plain_with_a_login(self) -> None:
        """A login goes without TLS only where that was typed; else it is said what to type."""
        with patch.dict(os.environ, {PASSWORD_VARIABLE: ALICE.password}):
            for tool in MANNERS:
                self.cache.answers = {
                    f"{method} {path}": NoTLSError("cache.test:5000 does not speak TLS")
                    for method, path in (
                        ("GET", "/v2/"),
                        ("HEAD", "/v2/library/hello-world/manifests/latest"),
                    )
                }
                words = ("--as", tool, "--account", "alice")
                self.cache.urls.clear()
                status, out, _ = self.command(*words, "cache.test:5000")
                self.assertEqual(
                    (status, {each.scheme for each in self.cache.urls}), (1, {"https"})
                )
                self.assertIn("bypass: cache.test:5000 does not speak TLS", out)
                self.assertIn(
                    "the login goes without TLS only if you write http://cache.test:5000", out
                )
                self.cache.answers.clear()
                options = ("--platform", "linux/amd64")
                self.assertEqual(self.command(*words, *options, "http://cache.test:5000")[0], 0)
                self.assertEqual(self.cache.url.scheme, "http")

    def test_seconds(self) -> None:
        """A time that no clock takes is refused."""
        for text in ("0", "-5", "86401", "9" * 30, "x", ""):
            with contextlib.redirect_stderr(io.StringIO()) as errors:
                words = ["prove", "a", f"--timeout={text}"]
                self.assertRaises(SystemExit, parser().parse_args, words)
            self.assertIn("a number of seconds", errors.getvalue())
        self.assertEqual(parser().parse_args(["prove", "a", "--timeout=86400"]).timeout, 86_400)

    def test_image_alone(self) -> None:
        """Who names an image alone is told what it was taken for."""
        self.cache.answers["HEAD /v2/library/hello-world/manifests/latest"] = BypassError("no")
        self.assertIn("nginx is taken for the cache", self.command("nginx")[2])
        self.assertNotIn("taken for", self.command("cache.test:5000")[2])

    def test_certificate(self) -> None:
        """The certificate is loaded for the cache, and for no other host that is asked."""
        pair = Authority(Path(self.mktemp())).issue("alice")
        self.cache.challenge = 'Bearer realm="https://auth.test/token"'
        self.cache.answers["GET /token"] = RegistryAnswer(200, {}, b'{"token": "T"}')
        shown = []

        def load(context: ssl.SSLContext, *files: str, **_: object) -> None:
            shown.append((context, *files))

        words = ("--platform", "linux/amd64", "https://cache.test")
        with patch.object(ssl.SSLContext, "load_cert_chain", load):
            options = ("--cert", str(pair.chain), "--key", str(pair.key))
            self.assertEqual(self.command(*options, *words)[0], 0)
        self.assertEqual(set(self.contexts), {"cache.test", "auth.test"})
        self.assertEqual(shown, [(self.contexts["cache.test"], str(pair.chain), str(pair.key))])
        self.assertIsNot(self.contexts["auth.test"], self.contexts["cache.test"])

    def test_wrong(self) -> None:
        """What is no host, no image, or no authority."""
        self.assertEqual(self.command("http://a b")[0], 2)
        self.assertEqual(self.command("ftp://a")[0], 2)
        self.assertEqual(self.command("a", "--ca", "missing.pem")[0], 2)
        self.assertEqual(self.command("a", "--account", "alice")[0], 2)
        self.assertEqual(self.command("a", "--ca", __file__)[0], 2)
        self.assertEqual(self.command("a", "--cert", __file__)[0], 2)
        for key in ("missing.pem", __file__):
            status, _, errors = self.command("a", "--cert", __file__, "--key", key)
            self.assertEqual(status, 2)
            self.assertIn("--cert", errors)
