"""What the integration tests share: one upstream full of images, and a daemon for each test."""

import atexit
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support import images
from tests.support.certificates import Authority, Certificate
from tests.support.clients import Pulled, Trust, hosts_file
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import Image
from tests.support.processes import Workspace, can_mount, require, unavailable, wait_until
from tests.support.servers import DockerRegistry, LoggedRequest, Regcache

UPSTREAM = "upstream.test"
UPSTREAM_HOST = "images.proxy.example"
Started = TypeVar("Started")


def shared(start: Callable[[], Started]) -> Callable[[], Started]:
    """Start something at its first use and close it when the tests are over."""

    @cache
    def once() -> Started:
        started = start()
        atexit.register(started.close)  # type: ignore[attr-defined]
        return started

    return once


class Catalog:
    """The images that every upstream of these tests holds, by repository; all have tag ``1``."""

    def __init__(self) -> None:
        require("zstd")
        self.mixed = images.mixed_image()
        self.sbom = images.artifact(self.mixed, "application/vnd.example.sbom", b'{"sbom": 1}')
        self.images: dict[str, Image] = {
            "library/mixed": self.mixed,
            "team/docker": images.docker_image(),
            "team/multi": images.multi_image(),
            "team/list": images.multi_image("list", form=images.DOCKER_FORM),
        }

    def fill(
        self, registry: DockerRegistry, headers: Mapping[str, str] | None = None
    ) -> DockerRegistry:
        """Push everything; ``headers`` go with every request, a token for instance."""
        client = registry.client(headers)
        for repository, image in self.images.items():
            client.push(repository, image, "1")
        client.push("library/mixed", self.sbom)
        tag = images.referrers_tag(self.mixed)
        client.push("library/mixed", images.referrers_index([self.sbom]), tag)
        return registry


catalog = cache(Catalog)


@shared
def public_upstream() -> DockerRegistry:
    """An upstream that asks for no credentials."""
    return catalog().fill(DockerRegistry())


class Certificates:
    """The authority that the clients trust, and the daemon's certificate."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self.authority = Authority(self._workspace.path)
        self.certificate: Certificate = self.authority.issue(
            "127.0.0.1", "localhost", "*.proxy.example"
        )
        self.trust = Trust(self.authority.folder, self.authority.file)
        self.close = self._workspace.remove


certificates = shared(Certificates)


def upstream_config(url: str, **more: Any) -> dict[str, Any]:
    """The configuration of a daemon with one upstream, which answers where nothing is named."""
    return {
        "upstreams": {UPSTREAM: {"urls": [url], **more}},
        "default_upstream": UPSTREAM,
    }


def named_config(url: str) -> dict[str, Any]:
    """A daemon whose upstream has to be named; what is not named goes to a closed port."""
    return {
        "upstreams": {
            UPSTREAM: {"urls": [url], "hosts": [UPSTREAM_HOST]},
            "other.test": {"urls": ["http://127.0.0.1:1"]},
        },
        "default_upstream": "other.test",
    }


class PullThroughCase(SynchronousTestCase):
    """Starts daemons for a test and compares what clients got with what was pushed."""

    def workspace(self) -> Workspace:
        """A folder for this test."""
        made = Workspace()
        self.addCleanup(made.remove)
        return made

    def regcache(
        self, config: Mapping[str, Any], *, tls: bool = False, port: int | None = None
    ) -> Regcache:
        """A running daemon with an empty cache."""
        daemon = Regcache(config, certificates().certificate if tls else None, port)
        self.addCleanup(daemon.close)
        return daemon.start()

    def faulty_upstream(self, **options: Any) -> FaultyUpstream:
        """An upstream that does wrong on demand."""
        upstream = FaultyUpstream(**options)
        self.addCleanup(upstream.close)
        return upstream

    def assert_logged(self, daemon: Regcache, *words: str, times: int = 1) -> list[str]:
        """So many lines of the log have these words, or will soon: it is written behind answers."""

        def told() -> list[str]:
            lines = daemon.log().splitlines()
            return [one for one in lines if all(word in one for word in words)]

        wait_until(lambda: len(told()) >= times, f"{words} in the log")
        return told()

    def hosts_file(self, *names: str) -> Path:
        """A hosts file for clients, in which every name is this machine."""
        if not can_mount():
            unavailable("no mount name space of its own for a client's /etc/hosts")
        return hosts_file(self.workspace(), *names)

    def pull_twice(
        self,
        repository: str,
        pull: Callable[[], Pulled],
        whole: bool,
        upstream: DockerRegistry | None = None,
    ) -> None:
        """Pull with an empty client, twice; ``whole`` says that it takes every architecture.

        What arrives equals what was pushed. The upstream sends each blob and each manifest once,
        and nothing at all the second time.
        """
        image, upstream = catalog().images[repository], upstream or public_upstream()
        before = len(upstream.requests())
        self.assert_arrived(image, pull(), whole)
        first = upstream.requests()
        self._assert_sent_once(first[before:], image, whole)
        self.assert_arrived(image, pull(), whole)
        again = [one for one in upstream.requests()[len(first) :] if one.is_body]
        self.assertEqual(again, [], "a second pull took a body from the upstream")

    def assert_arrived(self, image: Image, pulled: Pulled, whole: bool) -> None:
        """The digests and diff_ids that a client reports are those of what was pushed."""
        platform = platform_image(image)
        known = {image.digest, *image.all_blobs(), *(one.digest for one in image.children)}
        if whole:
            self.assertEqual(known - pulled.digests, set(), "missing, or not as pushed")
        self.assertTrue({image.digest, platform.digest} & pulled.digests, pulled)
        if pulled.diff_ids:
            self.assertEqual(list(pulled.diff_ids), platform.diff_ids)

    def _assert_sent_once(self, requests: list[LoggedRequest], image: Image, whole: bool) -> None:
        wanted = image if whole else platform_image(image)
        bodies = [one for one in requests if one.is_body]
        blobs = sorted(one.reference for one in bodies if one.kind == "blobs")
        self.assertEqual(blobs, sorted(wanted.all_blobs()), "blobs that the upstream sent")
        manifests = [one for one in bodies if one.kind == "manifests"]
        count = len({one.digest for one in (image, *wanted.all_manifests())})
        self.assertEqual(len(manifests), count, f"manifests that the upstream sent: {manifests}")


def platform_image(image: Image) -> Image:
    """What a client of one architecture pulls: the amd64 child of an index, or the image."""
    return image.children[0] if image.children else image
