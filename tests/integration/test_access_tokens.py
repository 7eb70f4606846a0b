"""Tokens of an external server, as docker_auth gives them: real clients, and a chained registry.

The registry behind us takes only tokens of the same server, which the daemon gets with an account
of its own; clients get theirs for ``regcache/<upstream>``.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.integration.access_base import (
    ALICE,
    BOB,
    CLOSED,
    OPEN,
    WRONG,
    AccessCase,
)
from tests.integration.base import UPSTREAM, UPSTREAM_HOST, catalog, certificates, shared
from tests.integration.client_cases import DockerClient, SkopeoClient
from tests.integration.test_docker import containerd_dockerd, graph_driver_dockerd
from tests.support.auth_server import ISSUER, AuthServer
from tests.support.processes import Workspace, free_port
from tests.support.servers import DockerRegistry, Regcache
from tests.support.signers import Signer

ROBOT = ("robot", "Helium-of-robot-4716")
OTHER = "other.test"
SERVICE, OTHER_SERVICE = f"regcache/{UPSTREAM}", f"regcache/{OTHER}"
MANIFEST = f"/v2/{CLOSED}/manifests/1"
SCOPE = f"repository:{CLOSED}:pull"


class TokenSetting:
    """A token server, a docker-registry that takes its tokens, and a daemon in front of that.

    :ivar operators: the port of its endpoint for operators, which is not on loopback alone.
    """

    def __init__(self, signer: Signer, keys: str) -> None:
        self.signer = signer
        everything = {"*": "pull,push"}
        anybody = {OPEN: "pull", f"{UPSTREAM}/{OPEN}": "pull"}
        allowed = {"": anybody, ALICE[0]: everything, ROBOT[0]: everything}
        self.auth = AuthServer(dict([ALICE, BOB, ROBOT]), allowed, signer)
        self._workspace = Workspace()
        bundle = self._workspace.file("bundle.pem", signer.certificate_pem())
        settings = {"realm": self.auth.realm, "service": "backend", "issuer": ISSUER}
        self.registry = DockerRegistry(token={**settings, "rootcertbundle": str(bundle)})
        scopes = [f"repository:{name}:pull,push" for name in catalog().images]
        token = self.auth.token(ROBOT[0], "backend", *scopes)
        catalog().fill(self.registry, {"Authorization": f"Bearer {token}"})
        self.operators = free_port()
        self.keys_file = self._workspace.file("keys", keys)
        self.daemon = Regcache(self._config(), certificates().certificate)
        self.daemon.start()

    def _config(self) -> dict[str, Any]:
        url = {"url": self.registry.url, "username": ROBOT[0], "password": ROBOT[1]}
        upstream = {"urls": [url], "token_hosts": ["127.0.0.1"], "serve_private": True}
        upstream["hosts"] = [UPSTREAM_HOST]
        token = {"realm": self.auth.realm, "issuer": ISSUER, "keys_file": str(self.keys_file)}
        return {
            "upstreams": {UPSTREAM: upstream, OTHER: {"urls": ["http://127.0.0.1:1"]}},
            "default_upstream": UPSTREAM,
            "access": {"token": token, "admins": ["root"]},
            "admin": {"endpoint": f"tcp:{self.operators}"},
        }

    def close(self) -> None:
        """Stop all."""
        self.daemon.close()
        self.registry.close()
        self.auth.close()
        self._workspace.remove()


@shared
def certified() -> TokenSetting:
    """RS256, whose key the daemon knows by its certificate."""
    signer = Signer("RS256")
    return TokenSetting(signer, signer.certificate_pem())


@shared
def listed() -> TokenSetting:
    """ES256, whose key the daemon knows from a JWK set, among others."""
    signer = Signer("ES256", "current")
    keys = [Signer("EdDSA", "former").jwk(), signer.jwk()]
    return TokenSetting(signer, json.dumps({"keys": keys}))


class TokenCase(AccessCase):
    """A daemon that sends its clients to the token server."""

    setting = staticmethod(certified)

    @property
    def daemon(self) -> Regcache:
        """The daemon."""
        return self.setting().daemon

    def setUp(self) -> None:
        """Look for secrets in its log when the test is over."""
        super().setUp()
        self.addCleanup(self.assert_no_secrets, self.daemon)
        self.addCleanup(lambda: self.secrets.extend([ROBOT[1], *self.setting().auth.given]))


class ClientTests(TokenCase, SkopeoClient):
    """skopeo, and the registry behind."""

    def test_pulls(self) -> None:
        """What the server's access list allows is pulled, and nothing else is."""
        address = self.daemon.address
        self.assert_pulls(address, OPEN)
        self.assert_pulls(address, CLOSED, ALICE)
        for account in (None, BOB, WRONG):
            self.assert_refused(address, CLOSED, account)
        asked = self.setting().auth.requests
        self.assertGreater(asked["get", SERVICE, SCOPE], 0)

    def test_login(self) -> None:
        """A login is checked by the token server."""
        self.login(self.daemon.address, ALICE)
        self.assert_fails(partial(self.login, self.daemon.address, WRONG))


class ListedKeysTests(ClientTests):
    """The same with other keys."""

    setting = staticmethod(listed)


class _DockerTests:
    """docker logs in at the token server, and keeps a refresh token."""

    def test_docker(self: Any) -> None:
        """``docker login``, and pulls with what it got; a wrong password fails."""
        address, docker = self.daemon.address, self.docker
        self.assert_pulls(address, OPEN)
        self.assert_refused(address, CLOSED)
        self.assert_fails(partial(self.login, address, WRONG))
        docker.login(address, ALICE)
        before = self.setting().auth.requests["refresh", SERVICE, SCOPE]
        pulled = docker.pull(f"{address}/{CLOSED}:1")
        self.assert_arrived(catalog().images[CLOSED], pulled, False)
        self.assertGreater(self.setting().auth.requests["refresh", SERVICE, SCOPE], before)


class GraphDriverStoreTests(_DockerTests, TokenCase, DockerClient):
    """The classic image store."""

    dockerd = staticmethod(graph_driver_dockerd)


class ContainerdStoreTests(_DockerTests, TokenCase, DockerClient):
    """The containerd image store."""

    dockerd = staticmethod(containerd_dockerd)


def _encoded(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes | None) -> str:
    """A token with an HMAC by ``key``, or without a signature."""
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    digest = b"" if key is None else hmac.digest(key, signed.encode(), hashlib.sha256)
    return f"{signed}.{_encoded(digest) if digest else ''}"


class ForgedTests(TokenCase):
    """CVE-2025-24976 and its kin: one claim or one field of the header is not as it should be."""

    def status(self, token: str, target: str = MANIFEST) -> int:
        """What a token gets."""
        if len(token) > 40:
            self.secrets.append(token[:200])
        client = self.daemon.client(headers={"Authorization": f"Bearer {token}"})
        answer = self.ask(client, target)
        if answer.status == 401:
            challenge = answer.headers["www-authenticate"]
            self.assertTrue(challenge.startswith(f'Bearer realm="{self.setting().auth.realm}"'))
        return answer.status

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good token of alice says, but for some claims; None leaves one out."""
        found = {**self.setting().auth.claims(ALICE[0], SERVICE, [SCOPE]), **changed}
        return {name: value for name, value in found.items() if value is not None}

    def signed(self, **changed: Any) -> str:
        """A token of the server."""
        return self.setting().signer.sign(self.claims(**changed))

    def assert_refused_everywhere(self, token: str) -> None:
        """A token is nothing, for a pull and for the ping."""
        for target in (MANIFEST, "/v2/", "/v2/_catalog"):
            self.assertEqual(self.status(token, target), 401, target)

    def test_good(self) -> None:
        """The token that all others are made from is good, with a certificate in it or not."""
        self.assertEqual(self.status(self.signed()), 200)
        signer = self.setting().signer
        self.assertEqual(self.status(signer.sign(self.claims(), x5c=signer.x5c())), 200)

    def test_no_signature(self) -> None:
        """``alg: none`` in every spelling."""
        for algorithm in ("none", "None", "NONE", "", None):
            header = {"typ": "JWT", "alg": algorithm}
            self.assert_refused_everywhere(forged(header, self.claims(), None))

    def test_public_key_as_a_secret(self) -> None:
        """HS256 whose secret is the public key, as PEM or certificate or not at all."""
        signer = self.setting().signer
        for key in (signer.public_pem(), signer.certificate_pem(), "", "secret"):
            for pem in (key.encode(), key.strip().encode()):
                token = forged({"typ": "JWT", "alg": "HS256"}, self.claims(), pem)
                self.assert_refused_everywhere(token)

    def test_keys_of_the_header(self) -> None:
        """A token brings the key that it is signed with: ``jwk``, ``x5c``, ``jku``, ``x5u``."""
        stranger = Signer(self.setting().signer.algorithm)
        address = f"http://{self.daemon.address}/keys"
        known = self.setting().signer.identifier
        for header in (
            {"jwk": stranger.jwk()},
            {"jwk": {**stranger.jwk(), "kid": known}, "kid": known},
            {"x5c": stranger.x5c()},
            {"x5c": [*stranger.x5c(), *self.setting().signer.x5c()]},
            {"jku": address},
            {"x5u": address},
            {"kid": "../../../../dev/null"},
            {},
        ):
            self.assert_refused_everywhere(stranger.sign(self.claims(), **header))

    def test_other_algorithm(self) -> None:
        """Another key type than those of the file."""
        self.assert_refused_everywhere(Signer("EdDSA").sign(self.claims()))

    def test_other_audience(self) -> None:
        """A token for somebody else."""
        for audience in ("backend", "regcache/", "", OTHER_SERVICE.upper(), ["a", "b"], None):
            self.assert_refused_everywhere(self.signed(aud=audience))

    def test_other_upstream(self) -> None:
        """A token for one upstream is nothing at another."""
        self.assertEqual(self.status(self.signed(aud=OTHER_SERVICE)), 401)
        names = [f"{OTHER}/{CLOSED}", CLOSED]
        entries = [{"type": "repository", "name": name, "actions": ["pull"]} for name in names]
        for target in (f"/v2/{OTHER}/{CLOSED}/manifests/1", f"{MANIFEST}?ns={OTHER}"):
            self.assertEqual(self.status(self.signed(access=entries), target), 401, target)

    def test_other_issuer(self) -> None:
        """A token of somebody else, though it is signed with the key."""
        for issuer in ("somebody", "", None):
            self.assert_refused_everywhere(self.signed(iss=issuer))

    def test_time(self) -> None:
        """A token that has ended, has not begun, or never ends."""
        now = int(time.time())
        for changed in ({"exp": now - 120}, {"nbf": now + 600}, {"exp": None}, {"exp": "later"}):
            self.assert_refused_everywhere(self.signed(**changed))

    def test_large(self) -> None:
        """Nearly 16 KiB are fine, more are 401, and more than a head may have is 400."""
        self.assertEqual(self.status(self.signed(jti="x" * 11_000)), 200)
        for size in (12 * 1024, 18 * 1024):
            self.assert_refused_everywhere(self.signed(jti="x" * size))
        self.assertEqual(self.status(self.signed(jti="x" * 30_000)), 400)

    def test_access_list(self) -> None:
        """What the access list does not have is not given, however it is written."""
        good = {"type": "repository", "name": CLOSED, "actions": ["pull"]}
        for access in (
            [],
            None,
            [{**good, "name": OPEN}],
            [{**good, "name": CLOSED + "/"}],
            [{**good, "name": CLOSED.upper()}],
            [{**good, "type": "registry"}],
            [{**good, "actions": ["push"]}],
            [{**good, "actions": []}],
        ):
            self.assertEqual(self.status(self.signed(access=access)), 401, access)

    def test_malformed(self) -> None:
        """What is no token, or has claims of the wrong kind."""
        good = self.signed()
        head, body, signature = good.split(".")
        for token in (
            *("", "x", "..", "a.b.c", f"{head}.{body}.", f"{head}.{body}", f"{good}.x"),
            f"{head}.{_encoded(self.claims(sub='root'))}.{signature}",
            f"{_encoded(b'null')}.{body}.{signature}",
            f"{_encoded(b'[' * 5000)}.{body}.{signature}",
        ):
            self.assertEqual(self.status(token or "x"), 401, token)
        for access in ("all", [1], {"a": 1}, [[]], [{"type": "repository"}]):
            self.assertEqual(self.status(self.signed(access=access)), 401, access)
