"""skopeo, podman, buildah and oras pull through the daemon by every way it can be reached."""

from functools import partial

from tests.integration.base import (
    UPSTREAM,
    UPSTREAM_HOST,
    PullThroughCase,
    catalog,
    certificates,
    named_config,
    public_upstream,
    upstream_config,
)
from tests.support.clients import Buildah, Oras, Podman, Skopeo

REPOSITORIES = ("library/mixed", "team/docker", "team/multi", "team/list")


class _EveryWay:
    """The ways that all four clients have in common."""

    client: type[Skopeo] | type[Podman] | type[Buildah] | type[Oras]
    whole = False

    def test_from_the_default_upstream(self) -> None:
        """Every form of image arrives through the plain port, where nothing is named."""
        client = self.client()
        daemon = self.regcache(upstream_config(public_upstream().url))
        for repository in REPOSITORIES:
            reference = f"{daemon.address}/{repository}:1"
            self.pull_twice(repository, partial(client.pull, reference), self.whole)

    def test_over_tls(self) -> None:
        """An image arrives over TLS, with a certificate that the client verifies."""
        client = self.client(trust=certificates().trust)
        daemon = self.regcache(upstream_config(public_upstream().url), tls=True)
        reference = f"{daemon.tls_address}/team/multi:1"
        self.pull_twice("team/multi", lambda: client.pull(reference), self.whole)

    def test_by_host_name(self) -> None:
        """The name in the Host header chooses the upstream, over plain HTTP and over TLS."""
        names = self.hosts_file(UPSTREAM_HOST)
        daemon = self.regcache(named_config(public_upstream().url), tls=True)
        plain = self.client(hosts_file=names)
        reference = f"{UPSTREAM_HOST}:{daemon.port}/team/multi:1"
        self.pull_twice("team/multi", lambda: plain.pull(reference), self.whole)
        secure = self.client(hosts_file=names, trust=certificates().trust)
        reference_tls = f"{UPSTREAM_HOST}:{daemon.tls_port}/team/list:1"
        self.pull_twice("team/list", lambda: secure.pull(reference_tls), self.whole)

    def test_by_path_prefix(self) -> None:
        """The first component of the path chooses the upstream."""
        client = self.client()
        daemon = self.regcache(named_config(public_upstream().url))
        reference = f"{daemon.address}/{UPSTREAM}/team/multi:1"
        self.pull_twice("team/multi", lambda: client.pull(reference), self.whole)


class _Mirrored(_EveryWay):
    """registries.conf, which skopeo, podman and buildah share."""

    def test_as_a_mirror(self) -> None:
        """registries.conf sends what is asked of a registry to the daemon instead."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        client = self.client(mirrors={"upstream.invalid": daemon.address})
        reference = "upstream.invalid/team/multi:1"
        self.pull_twice("team/multi", lambda: client.pull(reference), self.whole)

    def test_as_a_mirror_with_a_path_prefix(self) -> None:
        """The mirror's location carries the upstream's name as a path."""
        daemon = self.regcache(named_config(public_upstream().url))
        client = self.client(mirrors={"upstream.invalid": f"{daemon.address}/{UPSTREAM}"})
        reference = "upstream.invalid/team/list:1"
        self.pull_twice("team/list", lambda: client.pull(reference), self.whole)


class SkopeoTests(_Mirrored, PullThroughCase):
    """skopeo copies all architectures and keeps every byte."""

    client, whole = Skopeo, True

    def test_lists_the_tags(self) -> None:
        """The tag list is the upstream's, and reading it downloads nothing."""
        upstream = public_upstream()
        daemon = self.regcache(upstream_config(upstream.url))
        before = len(upstream.requests())
        self.assertIn("1", Skopeo().tags(f"{daemon.address}/team/multi"))
        self.assertEqual([one for one in upstream.requests()[before:] if one.is_body], [])


class PodmanTests(_Mirrored, PullThroughCase):
    """podman pulls and unpacks one architecture."""

    client = Podman


class BuildahTests(_Mirrored, PullThroughCase):
    """buildah pulls and unpacks one architecture."""

    client = Buildah


class OrasTests(_EveryWay, PullThroughCase):
    """oras copies all architectures into an OCI layout."""

    client, whole = Oras, True

    def test_finds_what_refers_to_an_image(self) -> None:
        """The referrers of an image are shown, though the upstream has only the fallback tag."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        found = Oras().referrers(f"{daemon.address}/library/mixed:1")
        self.assertEqual(found, [catalog().sbom.digest])

    def test_copies_what_refers_to_an_image(self) -> None:
        """A recursive copy brings the artifact with its payload."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        pulled = Oras().pull(f"{daemon.address}/library/mixed:1", referrers=True)
        sbom = catalog().sbom
        self.assertEqual({sbom.digest, *sbom.all_blobs()} - pulled.digests, set())
