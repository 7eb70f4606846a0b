"""Upstreams that are examined: all that a pull needs, in bounded time, for few bytes."""

from typing import Any

from twisted.internet.defer import Deferred

from regcache.digests import Digest
from regcache.doctor.examined import ExaminedUpstream
from regcache.identity import UpstreamIdentity
from regcache.images import (
    ImagePage,
    ImagePlatform,
    ImageRow,
    ListedLayer,
    NamedTag,
    RepositoryPage,
)
from regcache.upstream_examination import (
    MOST_SECONDS,
    SAMPLE_BYTES,
    SAMPLE_SECONDS,
    UpstreamExamination,
)
from tests.upstream.cases import MANIFEST, MANIFEST_TYPE, UpstreamTestCase
from tests.upstream.network import Seen, response

IDENTITY = UpstreamIdentity("test.io")
LAYER = bytes(range(256)) * 4000
DIGEST, CONFIG = Digest.of(LAYER), Digest.of(b"{}")
_TAG = "/v2/org/app/manifests/1"
_BLOB = f"/v2/org/app/blobs/{DIGEST}"


class Named:
    """A repository in a list."""

    name = "org/app"


class FakeImages:
    """What is cached: a tag of org/app with a layer, or nothing.

    :ivar fault: what the index raises.
    """

    def __init__(self, size: int | None = len(LAYER)) -> None:
        self.size = size
        self.fault: OSError | None = None

    async def repositories(self, _: Any) -> RepositoryPage:
        """The repository."""
        if self.fault is not None:
            raise self.fault
        items: Any = [] if self.size is None else [Named()]
        return RepositoryPage(items, None, None)

    async def images(self, *_: Any) -> ImagePage:
        """Its image."""
        platform = ImagePlatform("linux/amd64", CONFIG, manifest_here=True)
        row = ImageRow(
            digest=CONFIG,
            media_type=MANIFEST_TYPE,
            tags=[NamedTag("1", 0.0)],
            platforms=[platform],
            frees=0,
            last_used=None,
            pinned=False,
        )
        return ImagePage([row], None, 1)

    async def platform(self, *_: Any) -> Any:
        """What the image lists."""
        layers = [
            ListedLayer(digest=CONFIG, media_type="", size=2, here=2, used_by=1),
            ListedLayer(
                digest=DIGEST, media_type="", size=self.size or 0, here=self.size or 0, used_by=1
            ),
        ]

        class Shown:
            listed = {each.digest: each for each in layers}

        return Shown()


class ExaminationTests(UpstreamTestCase):
    """One upstream."""

    def setUp(self) -> None:
        super().setUp()
        self.images = FakeImages()
        self.asked: list[tuple[str, str, str]] = []
        self.answers: dict[str, bytes] = {}
        self.serve(self.answer)

    def answer(self, seen: Seen) -> bytes | None:
        """A registry that has the image."""
        self.asked.append((seen.method, seen.path, seen.headers.get("range", "")))
        if seen.path in self.answers:
            return self.answers[seen.path]
        if seen.path == _TAG:
            digest = str(Digest.of(MANIFEST))
            head = response(200, MANIFEST, Docker_Content_Digest=digest, Content_Type=MANIFEST_TYPE)
            return head.removesuffix(MANIFEST) if seen.method == "HEAD" else head
        if seen.path == _BLOB:
            return response(200, LAYER)
        return response(200, b"{}")

    def begin(self) -> "Deferred[list[ExaminedUpstream]]":
        """Examine it."""
        images: Any = self.images
        examination = UpstreamExamination(self.network, images)
        return Deferred.fromCoroutine(examination.examine([(IDENTITY, self.registry())]))

    def examine(self, seconds: float = 0.0) -> ExaminedUpstream:
        """What comes of it."""
        waiting = self.begin()
        self.network.settle()
        if seconds:
            self.network.pass_time(seconds)
        (found,) = self.successResultOf(waiting)
        return found

    def test_all(self) -> None:
        """The steps, HEAD of a tag that is here, and the largest of its layers; no manifest."""
        found = self.examine()
        self.assertEqual([each.problem for each in found.urls], [""])
        assert found.manifest is not None
        assert found.sample is not None
        self.assertEqual((found.manifest.image, found.manifest.problem), ("test.io/org/app:1", ""))
        self.assertEqual((found.sample.size, found.sample.problem), (len(LAYER), ""))
        self.assertEqual(found.sample.host, "registry.test")
        asked = [(method, path) for method, path, _ in self.asked]
        self.assertEqual(asked, [("GET", "/v2/"), ("HEAD", _TAG), ("GET", _BLOB)])

    def test_bounded_bytes(self) -> None:
        """Of a large layer only the beginning is asked for."""
        self.images.size = 1024**4
        self.answers[_BLOB] = response(
            206, LAYER, Content_Range=f"bytes 0-{len(LAYER) - 1}/{1024**4}"
        )
        self.examine(SAMPLE_SECONDS + 40)
        self.assertEqual(self.asked[-1][2], f"bytes=0-{SAMPLE_BYTES - 1}")

    def test_bounded_seconds(self) -> None:
        """A layer that drips is measured by what came."""
        whole = response(200, LAYER)
        self.answers[_BLOB] = whole[: len(whole) - len(LAYER) + 1000]
        found = self.examine(SAMPLE_SECONDS)
        assert found.sample is not None
        self.assertEqual((found.sample.size, found.sample.problem), (1000, ""))

    def test_failures(self) -> None:
        """What fails is told, and ends what needs it."""
        self.answers[_BLOB] = response(403, b"")
        found = self.examine()
        assert found.sample is not None
        self.assertNotEqual(found.sample.problem, "")
        self.answers[_TAG] = response(404, b"")
        found = self.examine()
        assert found.manifest is not None
        self.assertNotEqual(found.manifest.problem, "")
        self.assertIsNone(found.sample)
        self.answers["/v2/"] = response(500, b"")
        self.assertIsNone(self.examine().manifest)

    def test_nothing_is_known(self) -> None:
        """Where nothing is cached, or the index is away, /v2/ is all that is asked."""
        self.images.size = None
        self.assertIsNone(self.examine().manifest)
        self.images.fault = OSError("busy")
        self.assertIsNone(self.examine().manifest)

    def test_silent(self) -> None:
        """One that does not answer ends after its time, with what was found until then."""
        self.serve(lambda seen: None)
        waiting = self.begin()
        self.network.settle()
        self.network.pass_time(MOST_SECONDS + 1)
        (found,) = self.successResultOf(waiting)
        self.assertTrue(found.timed_out)
        self.assertEqual([step.name for step in found.urls[0].steps][:2], ["DNS", "connect"])

    def test_called_off(self) -> None:
        """A caller that leaves ends it: nothing is left under way."""
        self.serve(lambda seen: None)
        waiting = self.begin()
        self.network.settle()
        waiting.cancel()
        self.network.pass_time(0.1)
        self.successResultOf(waiting.addErrback(lambda _: None))
