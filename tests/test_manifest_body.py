"""Tests what is read from manifests, valid and hostile ones."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.facts import Descriptor, Subject
from regcache.manifest_body import (
    MOST_ANNOTATIONS,
    MOST_BYTES,
    MOST_DESCRIPTORS,
    InvalidManifestError,
    ManifestBody,
    parse_manifest,
)
from regcache.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from regcache.parsing import MOST_VALUES

CONFIG, LAYER, CHILD = (Digest.of(text) for text in (b"config", b"layer", b"child"))


def descriptor(digest: Digest, size: int = 5, **more: Any) -> dict[str, Any]:
    """A descriptor as JSON."""
    return {"mediaType": "a/b", "digest": str(digest), "size": size, **more}


def image(**more: Any) -> dict[str, Any]:
    """An OCI image manifest as JSON; None leaves a key out."""
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG),
        "layers": [descriptor(LAYER)],
        **more,
    }
    return {key: value for key, value in body.items() if value is not None}


def index(*children: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An OCI index as JSON."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **more}


def child(text: str, architecture: str, variant: str | None = None) -> dict[str, Any]:
    """A descriptor with a platform."""
    platform = {"os": "linux", "architecture": architecture}
    if variant is not None:
        platform["variant"] = variant
    return descriptor(Digest.of(text.encode()), platform=platform)


def parse(body: object, content_type: str = OCI_MANIFEST) -> ManifestBody:
    """Parse what a JSON value stands for."""
    return parse_manifest(json.dumps(body).encode(), content_type)


class ValidTests(SynchronousTestCase):
    """Manifests as registries give them."""

    def test_image(self) -> None:
        """Config and layers are its descriptors."""
        body = parse(image(), f"{OCI_MANIFEST}; charset=utf-8")
        self.assertEqual((body.media_type, body.is_index), (OCI_MANIFEST, False))
        self.assertEqual(
            body.descriptors, (Descriptor(CONFIG, 5, "a/b"), Descriptor(LAYER, 5, "a/b"))
        )

    def test_media_type(self) -> None:
        """A body may leave its type to the header, or a general header to the body."""
        for body, header, expected in (
            (image(mediaType=None), OCI_MANIFEST, OCI_MANIFEST),
            (image(mediaType=None), "application/json", OCI_MANIFEST),
            (image(), "", OCI_MANIFEST),
            (image(mediaType=DOCKER_MANIFEST), "text/plain; charset=utf-8", DOCKER_MANIFEST),
            (image(mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST, DOCKER_MANIFEST),
            (index(), OCI_INDEX, OCI_INDEX),
            (index(mediaType=DOCKER_LIST), DOCKER_LIST, DOCKER_LIST),
        ):
            self.assertEqual(parse(body, header).media_type, expected)

    def test_referrer(self) -> None:
        """The subject, the type of the artifact and the annotations are kept."""
        body = parse(
            image(subject=descriptor(CHILD), artifactType="x/y", annotations={"a": "b", "c": 1})
        )
        self.assertEqual(body.subject, Subject(CHILD, "x/y", (("a", "b"),)))
        for body in (parse(image()), parse(image(subject=None, artifactType="x/y"))):
            self.assertIsNone(body.subject)

    def test_type_of_the_config(self) -> None:
        """Without a type of the artifact that of the config counts."""
        subject = parse(image(subject=descriptor(CHILD), annotations=[])).subject
        self.assertEqual(subject, Subject(CHILD, "a/b", ()))

    def test_bounds(self) -> None:
        """What its author may write at length is cut."""
        many = {f"{number}" * 300: "x" * 5000 for number in range(100)}
        body = parse(image(subject=descriptor(CHILD), annotations=many, artifactType="t" * 999))
        subject = body.subject
        assert subject is not None
        self.assertEqual(len(subject.annotations), MOST_ANNOTATIONS)
        self.assertTrue(all(len(key) <= 255 for key, _ in subject.annotations))
        self.assertTrue(all(len(text) == 4096 for _, text in subject.annotations))
        self.assertEqual(len(subject.artifact_type), 255)

    def test_child_for(self) -> None:
        """A platform is found in an index; a plain one goes before its variants."""
        body = parse(
            index(child("v2", "amd64", "v2"), child("arm", "arm64"), child("plain", "amd64")),
            OCI_INDEX,
        )
        self.assertEqual(body.child_for("linux/amd64"), Digest.of(b"plain"))
        self.assertEqual(body.child_for("linux/arm64"), Digest.of(b"arm"))
        self.assertIsNone(body.child_for("linux/arm"))
        variants = parse(index(child("v2", "amd64", "v2")), OCI_INDEX)
        self.assertEqual(variants.child_for("linux/amd64"), Digest.of(b"v2"))
        self.assertIsNone(parse(image()).child_for("linux/amd64"))


class InvalidTests(SynchronousTestCase):
    """Bodies that contradict themselves or their header, or that are none."""

    def assert_invalid(self, content: bytes, header: str) -> None:
        """It is refused."""
        self.assertRaises(InvalidManifestError, parse_manifest, content, header)

    def test_no_object(self) -> None:
        """Any body that is no JSON object in UTF-8 is refused."""
        for content in (
            b"",
            b"[]",
            b"null",
            b"{",
            b"[" * 100_000,
            json.dumps(image()).encode("utf-16"),
            b"\xef\xbb\xbf" + json.dumps(image()).encode(),
            b'{"schemaVersion": ' + b"9" * 5000 + b"}",
        ):
            self.assert_invalid(content, OCI_MANIFEST)

    def test_confusion(self) -> None:
        """A body that one client reads as an index and another as an image is refused."""
        for body, header in (
            (image(), OCI_INDEX),
            (index(), OCI_MANIFEST),
            (image(manifests=[]), OCI_MANIFEST),
            (index(layers=[]), OCI_INDEX),
            (index(config=descriptor(CONFIG)), OCI_INDEX),
            (image(mediaType=OCI_INDEX), OCI_MANIFEST),
            (image(mediaType=DOCKER_MANIFEST), OCI_MANIFEST),
            (image(mediaType=OCI_INDEX), OCI_INDEX),
            (image(Manifests=[]), OCI_MANIFEST),
            (image(**{"manife\u017ft\u017f": []}), OCI_MANIFEST),  # Go folds this to "manifests"
            (index(**{"layer\u017f": []}), OCI_INDEX),
            (index(LAYERS=[]), OCI_INDEX),
            (image(mediatype=OCI_INDEX), OCI_MANIFEST),
        ):
            self.assert_invalid(json.dumps(body).encode(), header)

    def test_many_descriptors(self) -> None:
        """A manifest, or an index, has at most so many descriptors; its config is one of them."""
        layers = [descriptor(Digest.of(str(number).encode())) for number in range(MOST_DESCRIPTORS)]
        self.assertEqual(len(parse(image(layers=layers[1:])).descriptors), MOST_DESCRIPTORS)
        self.assertEqual(len(parse(index(*layers), OCI_INDEX).descriptors), MOST_DESCRIPTORS)
        self.assert_invalid(json.dumps(image(layers=layers)).encode(), OCI_MANIFEST)
        self.assert_invalid(json.dumps(index(*layers, layers[0])).encode(), OCI_INDEX)

    def test_rich_descriptors(self) -> None:
        """So many descriptors are parsed with all that real ones have, as long as they fit."""
        rich = {"platform": {"os": "linux", "architecture": "amd64", "variant": "v2"}}
        notes = {f"org.example.note.{number}": "x" * 20 for number in range(12)}
        children = [
            descriptor(Digest.of(str(number).encode()), annotations=notes, **rich)
            for number in range(MOST_DESCRIPTORS)
        ]
        content = json.dumps(index(*children), separators=(",", ":")).encode()
        self.assertLess(len(content), MOST_BYTES)
        self.assertEqual(len(parse_manifest(content, OCI_INDEX).descriptors), MOST_DESCRIPTORS)

    def test_many_values(self) -> None:
        """A body of millions of values is refused, too."""
        self.assert_invalid(b'{"x":[' + b"1," * MOST_VALUES + b"1]}", OCI_MANIFEST)

    def test_kinds(self) -> None:
        """Other types and versions are refused."""
        for body, header in (
            (image(schemaVersion=1), OCI_MANIFEST),
            (image(schemaVersion=None), OCI_MANIFEST),
            (image(mediaType="a/b"), "a/b"),
            (image(), "text/html"),
            (image(mediaType=None), DOCKER_MANIFEST),
            (image(mediaType=5), OCI_MANIFEST),
            (image(layers={}), OCI_MANIFEST),
            (index(manifests=None), OCI_INDEX),
            ({"schemaVersion": 2}, OCI_MANIFEST),
        ):
            self.assert_invalid(json.dumps(body).encode(), header)

    def test_descriptors(self) -> None:
        """A descriptor without a true size and digest is refused."""
        for broken in (
            "x",
            None,
            {},
            descriptor(LAYER, -1),
            descriptor(LAYER, 2**63),
            {**descriptor(LAYER), "size": "5"},
            {**descriptor(LAYER), "size": True},
            {**descriptor(LAYER), "size": 5.0},
            {**descriptor(LAYER), "digest": "sha256:../../x"},
            {**descriptor(LAYER), "digest": "md5:" + "0" * 32},
            {**descriptor(LAYER), "digest": 5},
            {**descriptor(LAYER), "mediaType": 5},
        ):
            for body in (image(layers=[broken]), image(subject=broken or 5)):
                self.assert_invalid(json.dumps(body).encode(), OCI_MANIFEST)

    @given(
        some.recursive(
            some.none() | some.booleans() | some.integers() | some.text(),
            lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
            max_leaves=10,
        ),
        some.sampled_from(["layers", "config", "subject", "annotations", "mediaType", "platform"]),
    )
    def test_any_value(self, value: object, key: str) -> None:
        """Any value at any key parses or is refused, and raises nothing else."""
        for body in (image(**{key: value}), image(layers=[descriptor(LAYER, **{key: value})])):
            try:
                parse(body)
            except InvalidManifestError:
                continue
