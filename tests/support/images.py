"""Images made without a container engine: the same seed gives the same bytes.

Layers hold random data, so that they do not compress; configurations name the right diff_ids,
so that real clients unpack what they pull (OCI image specification 1.1, Docker schema 2).
"""

import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

OCI = "application/vnd.oci.image."
OCI_MANIFEST = OCI + "manifest.v1+json"
OCI_INDEX = OCI + "index.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER = "application/vnd.docker."
DOCKER_MANIFEST = DOCKER + "distribution.manifest.v2+json"
DOCKER_LIST = DOCKER + "distribution.manifest.list.v2+json"


@dataclass(frozen=True)
class Form:
    """The media types of one of the two forms an image comes in."""

    manifest: str
    index: str
    config: str
    gzip: str
    zstd: str | None


OCI_FORM = Form(
    OCI_MANIFEST,
    OCI_INDEX,
    OCI + "config.v1+json",
    OCI + "layer.v1.tar+gzip",
    OCI + "layer.v1.tar+zstd",
)
DOCKER_FORM = Form(
    DOCKER_MANIFEST,
    DOCKER_LIST,
    DOCKER + "container.image.v1+json",
    DOCKER + "image.rootfs.diff.tar.gzip",
    None,
)


def sha256(data: bytes) -> str:
    """The digest of ``data`` as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Content:
    """Bytes with a media type: a blob or a manifest."""

    media_type: str
    data: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The digest that names the bytes."""
        return sha256(self.data)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """The descriptor that a manifest mentions this content with."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.data),
            **more,
        }


@dataclass(frozen=True)
class Layer(Content):
    """A layer: compressed bytes, and the digest of the tar archive in them."""

    diff_id: str = ""


@dataclass(frozen=True)
class Image(Content):
    """A manifest or an index, with all that it mentions."""

    blobs: tuple[Content, ...] = ()
    children: tuple["Image", ...] = ()

    @property
    def diff_ids(self) -> list[str]:
        """The diff_ids of the layers, lowest first."""
        return [blob.diff_id for blob in self.blobs if isinstance(blob, Layer)]

    def all_blobs(self) -> dict[str, Content]:
        """Every blob of this image and of its children, by digest."""
        found = {blob.digest: blob for blob in self.blobs}
        for child in self.children:
            found.update(child.all_blobs())
        return found

    def all_manifests(self) -> Iterator["Image"]:
        """Children before what mentions them: the order in which to push."""
        for child in self.children:
            yield from child.all_manifests()
        yield self


def random_bytes(size: int, seed: object) -> bytes:
    """``size`` bytes that do not compress and depend on the seed alone."""
    return random.Random(str(seed)).randbytes(size)


def _tar(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def gzip_layer(seed: object, size: int, form: Form = OCI_FORM) -> Layer:
    """A layer with one file of ``size`` random bytes, compressed with gzip."""
    tar = _tar({f"data/{seed}": random_bytes(size, seed)})
    return Layer(form.gzip, gzip.compress(tar, compresslevel=1, mtime=0), sha256(tar))


def zstd_layer(seed: object, size: int) -> Layer:
    """The same compressed by the zstd command; there is only an OCI form of it."""
    tar = _tar({f"data/{seed}": random_bytes(size, seed)})
    packed = subprocess.run(
        ["zstd", "--quiet", "-1", "--stdout"], input=tar, check=True, capture_output=True
    ).stdout
    assert OCI_FORM.zstd is not None
    return Layer(OCI_FORM.zstd, packed, sha256(tar))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def image(
    layers: Sequence[Layer], form: Form = OCI_FORM, architecture: str = "amd64", seed: object = ""
) -> Image:
    """An image manifest over ``layers`` with a configuration that clients can unpack."""
    config = Content(
        form.config,
        _json(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["/bin/true"], "Labels": {"seed": str(seed)}},
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
                "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
            }
        ),
    )
    body = {
        "schemaVersion": 2,
        "mediaType": form.manifest,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return Image(form.manifest, _json(body), (config, *layers))


def index(images: dict[str, Image], form: Form = OCI_FORM) -> Image:
    """An index (a Docker manifest list) of one image per architecture."""
    body = {
        "schemaVersion": 2,
        "mediaType": form.index,
        "manifests": [
            child.descriptor(platform={"architecture": architecture, "os": "linux"})
            for architecture, child in images.items()
        ],
    }
    return Image(form.index, _json(body), (), tuple(images.values()))


def artifact(subject: Image, artifact_type: str, data: bytes) -> Image:
    """An artifact that refers to ``subject``, a signature or a bill of materials for instance."""
    empty, payload = Content(OCI_EMPTY, b"{}"), Content(artifact_type, data)
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": empty.descriptor(),
        "layers": [payload.descriptor()],
        "subject": subject.descriptor(),
    }
    return Image(OCI_MANIFEST, _json(body), (empty, payload))


def referrers_index(artifacts: Sequence[Image]) -> Image:
    """The index under the tag ``sha256-<hex>`` of registries without the referrers API."""
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            child.descriptor(artifactType=json.loads(child.data)["artifactType"])
            for child in artifacts
        ],
    }
    return Image(OCI_INDEX, _json(body), (), tuple(artifacts))


def referrers_tag(subject: Image) -> str:
    """The fallback tag of the referrers of ``subject`` (OCI distribution specification 1.1)."""
    return subject.digest.replace(":", "-")


MIB = 1 << 20


def mixed_image(seed: object = "mixed", size: int = MIB) -> Image:
    """Two gzip layers and one zstd layer: the OCI image that most tests pull."""
    layers = [gzip_layer(f"{seed}-{number}", size) for number in range(2)]
    return image([*layers, zstd_layer(f"{seed}-zstd", size)], seed=seed)


def docker_image(seed: object = "docker", size: int = MIB) -> Image:
    """Two gzip layers in Docker's schema 2."""
    layers = [gzip_layer(f"{seed}-{number}", size, DOCKER_FORM) for number in range(2)]
    return image(layers, DOCKER_FORM, seed=seed)


def multi_image(seed: object = "multi", size: int = MIB, form: Form = OCI_FORM) -> Image:
    """An index over amd64 and arm64."""
    return index(
        {
            architecture: image(
                [gzip_layer(f"{seed}-{architecture}", size, form)], form, architecture, seed
            )
            for architecture in ("amd64", "arm64")
        },
        form,
    )
