"""Upstreams that demand credentials: Bearer tokens from a token server, and Basic."""

from typing import Any

from tests.integration.base import (
    PullThroughCase,
    catalog,
    shared,
    upstream_config,
)
from tests.support.clients import Skopeo
from tests.support.servers import DockerRegistry
from tests.support.token_server import TokenServer

ACCOUNT = ("robot", "correct horse")
REPOSITORY = "team/multi"


class TokenUpstream:
    """A docker-registry that takes only tokens of a token server; nothing in it is public."""

    def __init__(self) -> None:
        self.tokens = TokenServer(ACCOUNT)
        self.registry = DockerRegistry(token=self.tokens.registry_config())
        self._push()

    def _push(self) -> None:
        access = [f"repository:{name}:pull,push" for name in catalog().images]
        token = self.tokens.token(access, trusted=True)
        catalog().fill(self.registry, {"Authorization": f"Bearer {token}"})

    def close(self) -> None:
        """Stop both."""
        self.registry.close()
        self.tokens.close()


token_upstream = shared(TokenUpstream)


@shared
def basic_upstream() -> DockerRegistry:
    """A docker-registry behind htpasswd."""
    return catalog().fill(DockerRegistry(basic=ACCOUNT))


class _PrivateTests:
    """What holds for both kinds of upstream."""

    def upstream(self) -> DockerRegistry:
        """The upstream of the class."""
        raise NotImplementedError

    def config(self, **more: Any) -> dict[str, Any]:
        """A daemon in front of it, without credentials."""
        return upstream_config(self.upstream().url, **more)

    def with_credentials(self, **more: Any) -> dict[str, Any]:
        """The same with the account of the upstream."""
        return self.config(username=ACCOUNT[0], password=ACCOUNT[1], **more)

    def test_serves_what_its_credentials_can_read(self) -> None:
        """With credentials and ``serve_private`` a client without any pulls a private image."""
        daemon = self.regcache(self.with_credentials(serve_private=True))
        reference = f"{daemon.address}/{REPOSITORY}:1"
        self.pull_twice(REPOSITORY, lambda: Skopeo().pull(reference), True, self.upstream())
        self.assertNotIn(ACCOUNT[1], daemon.log())

    def test_keeps_private_images_private_by_default(self) -> None:
        """Without ``serve_private`` the answer is 403 and names the key; nothing is fetched."""
        daemon = self.regcache(self.with_credentials())
        before = len(self.upstream().requests())
        blob = catalog().images[REPOSITORY].children[0].blobs[0].digest
        for path in ("manifests/1", f"blobs/{blob}"):
            answer = daemon.client().get(f"/v2/{REPOSITORY}/{path}")
            self.assertEqual(answer.status, 403, answer)
            self.assertEqual(answer.errors, ["DENIED"])
            self.assertIn(b"serve_private", answer.body)
        sent = [one for one in self.upstream().requests()[before:] if one.is_body]
        self.assertEqual(sent, [])

    def test_without_credentials_answers_denied(self) -> None:
        """A refusal of the upstream is 403 DENIED, never a 401 that starts a token dance."""
        daemon = self.regcache(self.config())
        answer = daemon.client().get(f"/v2/{REPOSITORY}/manifests/1")
        self.assertEqual((answer.status, answer.errors), (403, ["DENIED"]))
        self.assertNotIn("www-authenticate", answer.headers)


class BearerTests(_PrivateTests, PullThroughCase):
    """The upstream sends its clients to a token server."""

    def upstream(self) -> DockerRegistry:
        """docker-registry with token authentication."""
        return token_upstream().registry

    def config(self, **more: Any) -> dict[str, Any]:
        """The token server is on another port, so the configuration has to name it."""
        return super().config(token_hosts=["127.0.0.1"], **more)

    def test_asks_for_one_token_per_scope(self) -> None:
        """A whole image with its blobs costs one token request for its repository."""
        daemon = self.regcache(self.with_credentials(serve_private=True))
        requests = token_upstream().tokens.requests
        before = requests.copy()
        Skopeo().pull(f"{daemon.address}/{REPOSITORY}:1")
        self.assertEqual(requests - before, {f"repository:{REPOSITORY}:pull": 1})

    def test_sends_no_credentials_to_a_realm_that_is_not_listed(self) -> None:
        """A realm on another port is not asked, and the error names the key to set."""
        config = upstream_config(
            self.upstream().url, username=ACCOUNT[0], password=ACCOUNT[1], serve_private=True
        )
        daemon = self.regcache(config)
        before = token_upstream().tokens.requests.copy()
        answer = daemon.client().get(f"/v2/{REPOSITORY}/manifests/1")
        self.assertGreaterEqual(answer.status, 400)
        self.assertIn(b"token_hosts", answer.body)
        self.assertEqual(token_upstream().tokens.requests, before)


class BasicTests(_PrivateTests, PullThroughCase):
    """The upstream demands an account on every request."""

    def upstream(self) -> DockerRegistry:
        """docker-registry with htpasswd."""
        return basic_upstream()


class OpenUpstreamTests(PullThroughCase):
    """Public images of an upstream that has credentials configured."""

    def test_public_images_need_no_key(self) -> None:
        """What the upstream gives to anybody is served, though credentials are configured."""
        upstream = self.faulty_upstream()
        image = catalog().images["team/docker"]
        upstream.add_image("team/docker", image, "1")
        config = upstream_config(upstream.url, username="somebody", password="secret")
        daemon = self.regcache(config)
        pulled = Skopeo().pull(f"{daemon.address}/team/docker:1")
        self.assertEqual({image.digest, *image.all_blobs()} - pulled.digests, set())
