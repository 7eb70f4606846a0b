"""What the API shows of images, over a real daemon whose upstream is watched."""

import json
from typing import Any

from regcache.admin.api.calls import PREFIX, ApiCall
from regcache.admin.api.image_calls import GET_IMAGE, GET_PLATFORM, GET_TAG_HISTORY
from regcache.admin.api.repository_calls import GET_REPOSITORIES, GET_REPOSITORY, GET_TAGS
from regcache.admin.api.request_calls import GET_REQUEST, GET_REQUESTS
from regcache.admin.api.status_calls import GET_STATUS
from regcache.admin.api.upstream_calls import GET_UPSTREAMS
from tests.integration.base import PullThroughCase, upstream_config
from tests.support import images
from tests.support.api import assert_answers
from tests.support.images import Content, Image
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import DockerRegistry

UPSTREAM, NAME = "upstream.test", "team/attested"


def attested_image() -> Image:
    """An index over two platforms, with BuildKit's attestation of the first."""
    multi = images.multi_image("attested")
    proof = Content("application/vnd.in-toto+json", b'{"proof": 1}')
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI_MANIFEST,
        "config": multi.children[0].blobs[0].descriptor(),
        "layers": [proof.descriptor()],
    }
    attestation = Image(
        images.OCI_MANIFEST, json.dumps(body).encode(), (multi.children[0].blobs[0], proof)
    )
    index = json.loads(multi.data)
    index["manifests"].append(
        attestation.descriptor(
            platform={"architecture": "unknown", "os": "unknown"},
            annotations={
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": multi.children[0].digest,
            },
        )
    )
    return Image(images.OCI_INDEX, json.dumps(index).encode(), (), (*multi.children, attestation))


class ShownImagesTests(PullThroughCase):
    """One platform pulled whole, of another the manifest alone, and an image without an index."""

    def setUp(self) -> None:
        self.image, self.single = attested_image(), images.mixed_image("single")
        self.upstream = DockerRegistry()
        self.addCleanup(self.upstream.close)
        pushing = self.upstream.client()
        pushing.push(NAME, self.image, "1")
        pushing.push("team/single", self.single, "2")
        self.daemon = self.regcache(upstream_config(self.upstream.url))
        self.client = self.daemon.client()
        self.api = RegistryClient(f"http://127.0.0.1:{self.daemon.admin_port}")
        self.pull()

    def pull(self) -> None:
        """All but a layer of the second platform, and the attestation."""
        first, second, _ = self.image.children
        tails = ["manifests/1", *(f"manifests/{each.digest}" for each in (first, second))]
        tails += [f"blobs/{each.digest}" for each in (*first.blobs, second.blobs[0])]
        for tail in tails:
            self.assertEqual(self.client.get(f"/v2/{NAME}/{tail}").status, 200, tail)
        for tail in ("manifests/2", *(f"blobs/{each.digest}" for each in self.single.blobs)):
            self.assertEqual(self.client.get(f"/v2/team/single/{tail}").status, 200, tail)
        self.asked = len(self.upstream.requests())

    def ask(self, call: ApiCall, query: str = "") -> Any:
        """The answer to a call, held to its schema."""
        answer = self.api.get(f"{PREFIX}{call.path}?{query}")
        self.assertEqual(answer.status, 200, answer.body)
        assert_answers(call, answer.json())
        return answer.json()

    def test_shown(self) -> None:
        """Platforms as they are, attestations apart; no upstream is asked."""
        name = f"{UPSTREAM}/{NAME}"

        def platforms() -> list[tuple[str, int, int]]:
            listed = self.ask(GET_REPOSITORIES, f"q={NAME}")["items"]
            return [
                (each["platform"], each["complete_tags"], each["partial_tags"])
                for each in (listed[0]["platforms"] if listed else [])
            ]

        expected = [("linux/amd64", 1, 0), ("linux/arm64", 0, 1)]
        wait_until(lambda: platforms() == expected, "the summary")
        found = self.ask(GET_IMAGE, f"name={name}&reference=1")
        first, second = found["platforms"]
        child = self.image.children[0]
        size = len(child.data) + sum(len(each.data) for each in child.blobs)
        self.assertEqual((first["complete"], first["here_bytes"]), (True, size))
        self.assertEqual((second["complete"], second["layers_here"]), (False, 0))
        self.assertEqual(found["attached"], [{"kind": "attestation", "count": 1, "here": 0}])
        self.assertEqual(found["own_bytes"], found["stored_bytes"])
        self.assertEqual(found["pull"]["docker"], f"docker pull {name}:1")
        detail = self.ask(GET_PLATFORM, f"name={name}&digest={child.digest}")
        self.assertEqual(detail["config"]["cmd"], ["/bin/true"])
        (step,) = detail["steps"]
        self.assertEqual(step["layer"]["digest"], child.blobs[1].digest)
        self.assertEqual(step["layer"]["here_bytes"], step["layer"]["size_bytes"])
        history = self.ask(GET_TAG_HISTORY, f"name={name}&tag=1")["items"]
        self.assertEqual([each["digest"] for each in history], [self.image.digest])
        self.assertEqual(self.ask(GET_TAGS, f"name={name}")["total"], 1)
        self.assertEqual(len(self.upstream.requests()), self.asked)

    def test_facts(self) -> None:
        """Nothing is null that is known: whose layers, for whom, how fast, how much."""
        name, child = f"{UPSTREAM}/{NAME}", self.image.children[0]
        self.assertEqual(self.ask(GET_IMAGE, f"name={name}&reference=1")["fetched_by"], "127.0.0.1")
        (layer,) = self.ask(GET_REQUESTS, f"q={child.blobs[1].digest}")["items"]
        self.assertEqual(layer["part"], {"index": 1, "of": 1})
        told = self.ask(GET_REQUEST, f"id={layer['id']}")
        image = {"name": name, "reference": "1", "platform": "linux/amd64"}
        self.assertEqual(told["image"], image)

        def upstream() -> Any:
            return self.ask(GET_UPSTREAMS)["items"][0]

        wait_until(lambda: upstream()["repositories"] == 2, "sums of what is stored")
        self.assertGreater(upstream()["stored_bytes"], 0)
        self.assertGreaterEqual(upstream()["answer_p50_ms"], 0)
        self.assertIsNotNone(upstream()["answer_series_ms"][-1])
        self.assertIsNotNone(self.ask(GET_STATUS)["disk"]["by_age"])

    def test_single(self) -> None:
        """The platform of an image without an index is the one that its configuration says."""
        name = f"{UPSTREAM}/team/single"
        (platform,) = self.ask(GET_REPOSITORY, f"name={name}")["platforms"]
        self.assertEqual((platform["platform"], platform["complete_tags"]), ("linux/amd64", 1))
        (found,) = self.ask(GET_IMAGE, f"name={name}&reference=2")["platforms"]
        self.assertEqual((found["platform"], found["layers"]), ("linux/amd64", 3))
        self.assertEqual(len(self.upstream.requests()), self.asked)

    def test_absent(self) -> None:
        """What is not here is said not to be here, and nobody is asked for it."""
        for query, status in (("team/none", 404), ("library", 404), ("%00", 400)):
            answer = self.api.get(f"{PREFIX}repository?name={UPSTREAM}/{query}")
            self.assertEqual(answer.status, status, query)
        self.assertEqual(len(self.upstream.requests()), self.asked)
