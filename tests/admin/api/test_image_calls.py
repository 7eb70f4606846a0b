"""Tests for the calls about repositories and images, over a real index and a store in memory."""

import json
from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred, succeed

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.image_calls import GET_IMAGE, GET_PLATFORM, GET_TAG_HISTORY, image_routes
from regcache.admin.api.repository_calls import (
    GET_REPOSITORIES,
    GET_REPOSITORY,
    GET_TAGS,
    Catalogued,
    repository_routes,
)
from regcache.cache.forgetting import Forgotten, Kind
from regcache.cache.gone import GoneLately
from regcache.cache.image_details import LONGEST_TEXT, MOST_TEXT
from regcache.cache.shown_images import ShownImages
from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest
from regcache.images import CONFIG_TYPES
from regcache.media_types import OCI_MANIFEST
from regcache.parsing import Parser
from regcache.pins import Pin
from regcache.removals import RemovalEffect
from regcache.times import time_text
from tests.support.api import ALICE, ROOT, ApiCase, BusyError
from tests.support.catalogued import LAYER, CatalogueCase, MadeImage, image_of, index_of
from tests.support.index_cases import HUB, repository_of
from tests.support.pools import ImmediatePool

NAME = "docker.io/library/a"


class FakeContents:
    """A store that has what it is given."""

    def __init__(self) -> None:
        self.contents: dict[Digest, bytes] = {}

    def load(self, digest: Digest, limit: int, size: int | None) -> "Deferred[bytes | None]":
        """What it was given."""
        content = self.contents.get(digest)
        return succeed(None if content is None or len(content) > limit else content)


class ImageCallCase(ApiCase, CatalogueCase):
    """The calls over an index."""

    def setUp(self) -> None:
        CatalogueCase.setUp(self)
        index, self.store = self.index, FakeContents()
        store: Any = self.store
        images = ShownImages(index.catalogue, store, Parser(ImmediatePool()))
        index.catalogue.summaries.describe = images.describe
        self.gone = GoneLately(lambda: 1_000_000.0)
        self.catalogued = Catalogued(images, lambda: {"docker.io": HUB}, lambda *_: 60.0, self.gone)
        ApiCase.setUp(self)
        self.index = index

    def routes(self) -> list[CallRoute]:
        """The calls."""
        return [
            *repository_routes(self.catalogued),
            *image_routes(self.catalogued, lambda upstream: upstream),
        ]

    def real_image(self, config: Any, layers: list[Digest]) -> MadeImage:
        """An image whose manifest and configuration are in the store."""
        text = config if isinstance(config, bytes) else json.dumps(config).encode()
        listed = [{"mediaType": LAYER, "digest": str(each), "size": 5} for each in layers]
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {
                    "mediaType": CONFIG_TYPES[0],
                    "digest": str(Digest.of(text)),
                    "size": len(text),
                },
                "layers": listed,
            }
        ).encode()
        self.store.contents |= {Digest.of(text): text, Digest.of(body): body}
        descriptors = [Descriptor(Digest.of(text), len(text), CONFIG_TYPES[0])]
        descriptors += [Descriptor(each, 5, LAYER) for each in dict.fromkeys(layers)]
        return MadeImage(Manifest(Digest.of(body), OCI_MANIFEST, body), tuple(descriptors))


class AnswerTests(ImageCallCase):
    """What they answer."""

    def test_repositories(self) -> None:
        """A page with a cursor for the next; a cursor of another list is refused."""
        for name in ("library/a", "library/b", "library/c"):
            self.put(name, image_of(name, [(name, 10)]), tag="1")
        first = self.answered(GET_REPOSITORIES, self.get("repositories?limit=2"))
        self.assertEqual([each["name"] for each in first["items"]], [NAME, "docker.io/library/b"])
        self.assertEqual(first["total"], 3)
        second = self.get(f"repositories?limit=2&cursor={first['next']}")
        found = self.answered(GET_REPOSITORIES, second)
        self.assertEqual([each["name"] for each in found["items"]], ["docker.io/library/c"])
        self.assertIsNone(found["next"])
        other = self.get(f"repositories?sort=size&cursor={first['next']}")
        self.assert_problem(other, 410, "CURSOR")
        self.assert_problem(self.get("repositories?upstream=none"), 404, "UNKNOWN_UPSTREAM")
        self.assert_problem(self.get("repositories?sort=age"), 400, "INVALID")
        problem = self.assert_problem(self.get("repositories?upstream="), 400, "INVALID")
        self.assertEqual(problem["params"]["field"], "upstream")

    def test_image(self) -> None:
        """All of an image; unknown is null."""
        self.put("library/a", image_of("a", [("a", 10)]), tag="1")
        found = self.answered(GET_IMAGE, self.get(f"image?name={NAME}&reference=1"))
        self.assertEqual(found["pull"]["docker"], f"docker pull {NAME}:1")
        now = self.clock.seconds()
        self.assertEqual(found["checked"], time_text(now))
        self.assertEqual(found["fresh_until"], time_text(now + 60.0))
        self.assertIsNone(found["fetched_by"])
        by_digest = self.get(f"image?name={NAME}&reference={found['digest']}")
        self.assertEqual(self.answered(GET_IMAGE, by_digest)["tags_same_digest"], ["1"])
        history = self.answered(GET_TAG_HISTORY, self.get(f"tag/history?name={NAME}&tag=1"))
        self.assertEqual([each["digest"] for each in history["items"]], [found["digest"]])
        tags = self.answered(GET_TAGS, self.get(f"tags?name={NAME}"))
        self.assertEqual(tags["items"][0]["tags"], ["1"])

    def gone_of(self, call: str, credentials: str = "") -> Any:
        """What the 404 of a call says of when it left."""
        answer = self.get(call, credentials)
        return self.assert_problem(answer, 404, "NOT_CACHED")["params"]["gone"]

    def test_deleted(self) -> None:
        """404 says when it was deleted, and by whom, to those who see accounts."""
        effect = RemovalEffect(found=True, named=Digest.of(b"gone"), tags=("2", "3"))
        self.gone.note_deleted(repository_of("library/z"), effect, "root")
        told = {"time": "1970-01-12T13:46:40Z", "how": "deleted", "by": "root"}
        name = "docker.io/library/z"
        for call in (
            f"repository?name={name}",
            f"tags?name={name}",
            f"image?name={name}&reference=2",
            f"image?name={name}&reference={Digest.of(b'gone')}",
            f"tag/history?name={name}&tag=3",
        ):
            self.assertEqual(self.gone_of(call), told, call)
        self.assertIsNone(self.gone_of(f"image?name={name}&reference=4"))
        seen = self.gone_of(f"image?name={name}&reference=2", ALICE)
        self.assertEqual(seen, {**told, "by": None})

    def test_swept(self) -> None:
        """Of an image that was swept it is told when, as long as nothing of it is here."""
        made = image_of("a", [("a", 10)])
        self.put("library/a", made, tag="1")
        self.gone.forget(Forgotten(Kind.CONTENT, made.manifest.digest, evicted=True))
        call = f"image?name={NAME}&reference=1"
        self.assertIsNone(self.answered(GET_IMAGE, self.get(call))["gone"])
        for each in (made.manifest.digest, *(one.digest for one in made.descriptors)):
            self.successResultOf(self.index.forget_content(each))
        told = self.answered(GET_IMAGE, self.get(call))["gone"]
        self.assertEqual(told, {"time": "1970-01-12T13:46:40Z", "how": "swept", "by": None})

    def test_not_cached(self) -> None:
        """404 for what is not here, 400 for what cannot be."""
        self.put("library/a", image_of("a", [("a", 10)]), tag="1")
        for call in (
            "repository?name=docker.io/library/z",
            "tags?name=docker.io/library/z",
            f"image?name={NAME}&reference=2",
            f"image?name={NAME}&reference={Digest.of(b'z')}",
            f"image/platform?name={NAME}&digest={Digest.of(b'z')}",
            f"tag/history?name={NAME}&tag=2",
        ):
            self.assert_problem(self.get(call), 404, "NOT_CACHED")
        self.assert_problem(self.get("repository?name=none/x"), 404, "UNKNOWN_UPSTREAM")
        self.assertIsNone(self.gone_of(f"image?name={NAME}&reference=2"))
        for reference in ("%20", "sha256:12", "a/b"):
            call = f"image?name={NAME}&reference={reference}"
            self.assert_problem(self.get(call), 400, "INVALID")
        for tag in ("%20", "", ".1", "a/b", "a" * 129, str(Digest.of(b"z"))):
            problem = self.assert_problem(
                self.get(f"tag/history?name={NAME}&tag={tag}"), 400, "INVALID"
            )
            self.assertEqual(problem["params"], {"field": "tag"}, tag)

    def test_closed(self) -> None:
        """A repository that its upstream has closed says since when."""
        self.put("library/a", image_of("a", [("a", 10)]), tag="1")
        call = f"repository?name={NAME}"
        self.assertIsNone(self.answered(GET_REPOSITORY, self.get(call))["upstream_closed"])
        self.successResultOf(self.index.record_closed(repository_of("library/a"), 1_000_000.0))
        closed = self.answered(GET_REPOSITORY, self.get(call))["upstream_closed"]
        self.assertEqual(closed, {"since": "1970-01-12T13:46:40Z", "reason": "denied"})

    def test_described(self) -> None:
        """The platform of an image without an index is read from its configuration."""
        config = {"os": "linux", "architecture": "arm", "variant": "v7"}
        self.put("library/a", self.real_image(config, [Digest.of(b"l")]), tag="1")
        (platform,) = self.answered(GET_REPOSITORY, self.get(f"repository?name={NAME}"))[
            "platforms"
        ]
        self.assertEqual(platform["platform"], "linux/arm/v7")
        (found,) = self.answered(GET_TAGS, self.get(f"tags?name={NAME}"))["items"]
        self.assertEqual(found["platforms"][0]["variant"], "v7")

    def test_busy(self) -> None:
        """503 if too many wait for the index."""
        index = Mock()
        index.repositories.side_effect = BusyError()
        self.patch(self.catalogued.images, "_index", index)
        answer = self.get("repositories")
        self.assert_problem(answer, 503, "INDEX_BUSY")
        self.assertEqual(answer.headers["retry-after"], "2")


class DetailTests(ImageCallCase):
    """Configuration, labels and steps, which strangers have written."""

    def detail(self, config: Any, layers: list[Digest]) -> Any:
        """What is shown of an image."""
        image = self.put("library/a", self.real_image(config, layers), tag="1")
        call = f"image/platform?name={NAME}&digest={image.digest}"
        return self.answered(GET_PLATFORM, self.get(call))

    def test_steps(self) -> None:
        """Steps take their layers in order; one layer may stand there twice."""
        one, two = Digest.of(b"1"), Digest.of(b"2")
        history = [
            {"created_by": "ADD x", "created": "2026-01-01T00:00:00.5Z"},
            {"created_by": "ENV y", "empty_layer": True},
            {"created_by": "RUN z"},
        ]
        found = self.detail(
            {"history": history, "config": {"Cmd": ["sh"], "Labels": {"a": "b"}}}, [one, one, two]
        )
        self.assertEqual(found["config"]["cmd"], ["sh"])
        self.assertEqual(found["labels"], [{"key": "a", "value": "b"}])
        steps = [
            (each["created_by"], (each["layer"] or {}).get("digest")) for each in found["steps"]
        ]
        self.assertEqual(
            steps,
            [("ADD x", str(one)), ("ENV y", None), ("RUN z", str(one)), (None, str(two))],
        )
        self.assertEqual(found["steps"][0]["created"], "2026-01-01T00:00:00Z")
        self.assertEqual(found["steps"][0]["layer"]["used_by"], 1)

    def test_hostile(self) -> None:
        """The answer is bounded, and keeps to its schema, with any types, sizes and characters."""
        huge, long = "x" * (1 << 20), "y" * (LONGEST_TEXT + 1)
        labels = {f"{number}\x1b\u202e": "v" for number in range(3000)}
        labels = {"": "no name", "number": 5, "huge": huge, **labels}
        history = [{"created_by": long, "created": "never"}, 7, None, {"created_by": ["a"]}] * 100
        found = self.detail(
            {
                "created": 5,
                "author": "\ud800\x00",
                "config": {"Labels": labels, "Env": [1, None, "A=b"]},
                "history": history,
            },
            [Digest.of(b"1")] * 3,
        )
        self.assertLess(len(json.dumps(found)), 4 * MOST_TEXT)
        self.assertLessEqual(max(len(each["value"]) for each in found["labels"]), LONGEST_TEXT)
        self.assertEqual(found["config"]["env"], ["A=b"])
        self.assertEqual(found["config"]["author"], "?\x00")
        self.assertIsNone(found["config"]["created"])

    def test_nonsense(self) -> None:
        """A configuration that cannot be read counts as absent; so does one that is too large."""
        for config in (b"no", b"[]", b'{"config": 5, "history": {}}', b"\xff", b"[" * 100_000):
            found = self.detail(config, [Digest.of(b"1")])
            self.assertEqual(len(found["steps"]), 1, config[:20])


class VisibilityTests(ImageCallCase):
    """Who sees what."""

    rules = (
        Rule(
            frozenset({"alice"}),
            Grant(frozenset({Action.PULL}), repositories=("team/*",)),
        ),
    )

    def test_account(self) -> None:
        """An account sees what it may pull; nothing tells of what others have."""
        shared = [("base", 5000)]
        self.put("team/a", image_of("a", shared), tag="1")
        self.put("other/b", image_of("b", shared), tag="1")
        found = self.answered(GET_REPOSITORIES, self.get("repositories", ALICE))
        self.assertEqual([each["name"] for each in found["items"]], ["docker.io/team/a"])
        self.assertIsNone(found["total"])
        for field in ("own_bytes", "shared_bytes"):
            self.assertIsNone(found["items"][0][field])
        hidden = self.get("repository?name=docker.io/other/b", ALICE)
        self.assert_problem(hidden, 404, "NOT_CACHED")
        absent = self.get("repository?name=docker.io/other/none", ALICE)
        self.assert_problem(absent, 404, "NOT_CACHED")
        image = self.get("image?name=docker.io/team/a&reference=1", ALICE)
        self.assertIsNone(self.answered(GET_IMAGE, image)["shared_with"])
        pinning = self.index.pins.pin(repository_of("team/a"), "1", Pin("root", 1.0))
        self.successResultOf(pinning)
        for credentials, account in ((ALICE, None), (ROOT, "root")):
            image = self.get("image?name=docker.io/team/a&reference=1", credentials)
            self.assertEqual(self.answered(GET_IMAGE, image)["pinned"]["by"], account)
        whole = self.answered(GET_REPOSITORIES, self.get("repositories", ROOT))
        self.assertEqual(whole["total"], 2)

    def test_index(self) -> None:
        """Nested indexes are looked into, and cannot be endless."""
        inner = index_of("inner", [("linux/amd64", image_of("a", [("a", 1)]))])
        outer = index_of("outer", [("", inner)])
        for image in (outer, inner):
            self.put("team/a", image, tag="1" if image is outer else "")
        call = "image?name=docker.io/team/a&reference=1"
        found = self.answered(GET_IMAGE, self.get(call, ALICE))
        self.assertEqual([each["platform"] for each in found["platforms"]], ["linux/amd64"])


class EverythingTests(ImageCallCase):
    """An account that may pull everything, as without any rules."""

    def test_who(self) -> None:
        """It is told what others share, but not who fetched or pinned it, unless itself."""
        for name in ("bob", "alice"):
            where, image = repository_of(f"library/{name}"), image_of(name, [(name, 10)])
            self.manifest(image.manifest, *image.descriptors, repository=where.name, asked_by=name)
            self.put(where.name, image, tag="1")
            self.successResultOf(self.index.pins.pin(where, "1", Pin(name, 1.0)))
        for who, name, told in (
            (ALICE, "bob", None),
            (ALICE, "alice", "alice"),
            (ROOT, "bob", "bob"),
            ("", "bob", "bob"),
        ):
            call = f"image?name=docker.io/library/{name}&reference=1"
            found = self.answered(GET_IMAGE, self.get(call, who))
            self.assertEqual((found["fetched_by"], found["pinned"]["by"]), (told, told), who)
            self.assertIsNotNone(found["own_bytes"])
