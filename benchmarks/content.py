"""What the upstream holds: blobs that are made once and kept in the build folder, a manifest."""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = "library/bench"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
MIB = 1 << 20
PART = 4 * MIB
"""Bytes of the blob of which many transfers go on at once."""

LAYERS = 8
"""How many layers the image has whose layers are fetched side by side."""

TAG = "latest"

_PREFIX = f"v2/{REPOSITORY}"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    :ivar big: bytes of the blob that is transferred over one connection.
    :ivar each: bytes of the blob that 16 connections fetch at once.
    :ivar crowd: bytes of the blob that 50 clients want.
    :ivar paced: bytes of the blob that one client fetches over a link.
    :ivar layer: bytes of each of the layers that a client fetches side by side.
    :ivar tiny: how many blobs of 4 KiB.
    :ivar slow_seconds: how long slow clients are watched.
    :ivar request_seconds: how long requests are counted.
    :ivar idle_seconds: how long a server is left alone after its start.
    :ivar once_seconds: what takes longer than that is measured in one round only.
    """

    big: int
    each: int
    crowd: int
    paced: int
    layer: int
    tiny: int
    slow_seconds: float
    request_seconds: float
    idle_seconds: float
    once_seconds: float


FULL = Sizes(1024 * MIB, 256 * MIB, 100 * MIB, 100 * MIB, 64 * MIB, 5_000, 6.0, 5.0, 1.0, 20.0)
QUICK = Sizes(128 * MIB, 16 * MIB, 16 * MIB, 32 * MIB, 16 * MIB, 150, 3.0, 1.0, 0.3, 2.0)


def blob_path(digest: str) -> str:
    """The request target of a blob."""
    return f"/{_PREFIX}/blobs/{digest}"


def manifest_path(reference: str) -> str:
    """The request target of a manifest."""
    return f"/{_PREFIX}/manifests/{reference}"


class Content:
    """The files below ``root`` that an upstream serves, each under the path it is asked for.

    :ivar root: the folder of documents.
    """

    def __init__(self, root: Path, sizes: Sizes) -> None:
        self.root = root
        self.sizes = sizes
        self.big = self.each = self.crowd = self.paced = self.part = self.primer = ""
        self.manifest = ""
        self.layers: list[str] = []
        self.tiny: list[str] = []

    def make(self) -> None:
        """Make what is missing. Takes some seconds the first time."""
        for kind in ("blobs", "manifests"):
            (self.root / _PREFIX / kind).mkdir(parents=True, exist_ok=True)
        self.big = self._blob("big", self.sizes.big)
        self.each = self._blob("each", self.sizes.each)
        self.crowd = self._blob("crowd", self.sizes.crowd)
        self.paced = self._blob("paced", self.sizes.paced)
        self.layers = [self._blob(f"layer-{n}", self.sizes.layer) for n in range(LAYERS)]
        self.part = self._blob("part", PART)
        self.primer = self._blob("primer", 100)
        self.tiny = [self._tiny(number) for number in range(self.sizes.tiny)]
        self.manifest = self._manifest()

    def path(self, target: str) -> Path:
        """The file behind a request target."""
        return self.root / target.lstrip("/")

    def _blob(self, name: str, size: int) -> str:
        """A blob of a size, its digest remembered beside it."""
        note = self.root / f"{name}-{size}"
        if note.exists() and self.path(blob_path(note.read_text())).exists():
            return note.read_text()
        temporary = self.root / "new"
        hashed = hashlib.sha256()
        with temporary.open("wb") as file:
            for piece in _pieces(name, size):
                hashed.update(piece)
                file.write(piece)
        digest = f"sha256:{hashed.hexdigest()}"
        os.replace(temporary, self.path(blob_path(digest)))
        note.write_text(digest)
        return digest

    def _tiny(self, number: int) -> str:
        body = random.Random(number).randbytes(16) * 256
        return self._put("blobs", body)

    def _put(self, kind: str, body: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        path = self.root / _PREFIX / kind / digest
        if not path.exists():
            path.write_bytes(body)
        return digest

    def _manifest(self) -> str:
        """An image manifest of about 1.5 KB, by digest and as ``latest``."""
        layers = [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest,
                "size": size,
            }
            for digest, size in ((self.big, self.sizes.big), *((one, 4096) for one in self.tiny))
        ]
        config = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": self.primer,
            "size": 100,
        }
        body = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config,
            "layers": layers[:7],
        }
        encoded = json.dumps(body, indent=1).encode()
        self.path(manifest_path(TAG)).write_bytes(encoded)
        return self._put("manifests", encoded)


def _pieces(name: str, size: int) -> Iterator[bytes]:
    """Bytes that do not repeat, so that no store can fold them."""
    block = random.Random(name).randbytes(MIB)
    for number in range(-(-size // MIB)):
        piece = number.to_bytes(8, "big") + block[8:]
        yield piece[: size - number * MIB]
