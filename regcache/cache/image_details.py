"""What a manifest and a configuration say of an image, for people: parsed, bounded, not believed.

OCI image specification, "Image Manifest" and "Image Configuration". The authors are strangers: what
is too long is cut, what has another type than it should counts as absent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any

from regcache.digests import Digest, InvalidDigestError
from regcache.light_dataclass import dataclass
from regcache.manifest_body import MOST_DESCRIPTORS
from regcache.parsing import load_json
from regcache.times import parse_time

#: Characters of one text that are shown; and of all settings, all labels, and all steps.
LONGEST_TEXT, MOST_TEXT = 16 * 1024, 256 * 1024
#: Entries of one list, labels, and steps that are shown, besides layers of which no step is known.
MOST_ENTRIES, MOST_STEPS = 256, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """How a container of the image runs; None where nothing is said.

    :ivar created: Unix seconds.
    """

    created: float | None
    author: str | None
    user: str | None
    workdir: str | None
    entrypoint: Sequence[str]
    command: Sequence[str]
    environment: Sequence[str]
    ports: Sequence[str]
    volumes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the build.

    :ivar created: Unix seconds.
    :ivar empty: it made no layer.
    """

    created_by: str | None
    created: float | None
    _: KW_ONLY
    empty: bool
    layer: Digest | None


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """All of that.

    :ivar settings: None where the configuration is not here, or none that can be read.
    """

    settings: ImageSettings | None
    labels: Sequence[tuple[str, str]]
    steps: Sequence[Step]


class _Room:
    """Texts, as long as there is room for them."""

    def __init__(self) -> None:
        self._left = MOST_TEXT

    def text(self, value: Any) -> str | None:
        """A text, cut; None for anything else."""
        if not isinstance(value, str):
            return None
        cut = value[: min(LONGEST_TEXT, self._left)]
        self._left -= len(cut)
        return cut.encode("utf-8", "replace").decode("utf-8")

    def texts(self, value: Any) -> list[str]:
        """The texts in a list, or the names in an object."""
        found = value if isinstance(value, list | dict) else []
        texts = [self.text(each) for each in list(found)[:MOST_ENTRIES]]
        return [each for each in texts if each is not None]


def platform_of(config: bytes) -> str:
    """The platform that a configuration names: os/architecture[/variant]; "" for none."""
    said = _object(config)
    parts = [said.get(key) for key in ("os", "architecture", "variant")]
    if not all(isinstance(each, str) and each for each in parts[:2]):
        return ""
    return "/".join(_clean(each[:64]) for each in parts if isinstance(each, str) and each)


def details_of(manifest: bytes, config: bytes | None) -> ImageDetails:
    """What is shown of an image.

    :param config: None where it is not here.
    """
    layers = list(_layers(_object(manifest)))
    said = _object(config) if config is not None else {}
    settings = _settings(said, _Room()) if said else None
    labels = list(_labels(_inner(said).get("Labels"), _Room()))
    return ImageDetails(settings, labels, list(_steps(said.get("history"), layers, _Room())))


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = load_json(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _inner(said: Mapping[str, Any]) -> Mapping[str, Any]:
    config = said.get("config")
    return config if isinstance(config, dict) else {}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _settings(said: Mapping[str, Any], room: _Room) -> ImageSettings:
    config = _inner(said)
    return ImageSettings(
        created=_time(said.get("created")),
        author=room.text(said.get("author")),
        user=room.text(config.get("User")),
        workdir=room.text(config.get("WorkingDir")),
        entrypoint=room.texts(config.get("Entrypoint")),
        command=room.texts(config.get("Cmd")),
        environment=room.texts(config.get("Env")),
        ports=room.texts(config.get("ExposedPorts")),
        volumes=room.texts(config.get("Volumes")),
    )


def _labels(value: Any, room: _Room) -> Iterator[tuple[str, str]]:
    for key, text in list(value.items() if isinstance(value, dict) else ())[:MOST_ENTRIES]:
        name, cut = room.text(key), room.text(text)
        if name and cut is not None:
            yield name, cut


def _layers(manifest: Mapping[str, Any]) -> Iterator[Digest]:
    """The layers in their order; one may stand there twice."""
    layers = manifest.get("layers")
    for each in layers if isinstance(layers, list) else ():
        digest = each.get("digest") if isinstance(each, dict) else None
        try:
            yield Digest.parse(digest if isinstance(digest, str) else "")
        except InvalidDigestError:
            continue


def _steps(history: Any, layers: Sequence[Digest], room: _Room) -> Iterator[Step]:
    """The history, with the layers that its steps made; layers of which it says nothing follow."""
    waiting = iter(layers[:MOST_DESCRIPTORS])
    for each in (history if isinstance(history, list) else [])[:MOST_STEPS]:
        said = each if isinstance(each, dict) else {}
        empty = said.get("empty_layer") is True
        layer = None if empty else next(waiting, None)
        created_by = room.text(said.get("created_by"))
        yield Step(created_by, _time(said.get("created")), empty=empty, layer=layer)
    for layer in waiting:
        yield Step(None, None, empty=False, layer=layer)


def _time(value: Any) -> float | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
