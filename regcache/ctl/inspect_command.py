"""``regcachectl inspect``: what is here of one image."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from regcache.ctl.client import IAsksDaemon, RefusedError
from regcache.ctl.command import DONE, FAILED, add_daemon_parser
from regcache.ctl.list_command import platform_text
from regcache.ctl.naming import ImageName, add_image_argument
from regcache.ctl.printer import Printer, size_text

_PLATFORMS = ("platform", "here", "layers", "last used", "digest")
_STEPS = ("size", "here", "used by", "step")
#: Tags that are named where another one was asked for.
_TAGS = 5
#: Characters of a command that are shown.
_LONGEST = 160


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "inspect",
        inspect,
        help="what is here of an image; no upstream is asked",
        example="regcachectl inspect nginx:1.29 --platform linux/arm64",
    )
    add_image_argument(parser)
    parser.add_argument(
        "--platform", metavar="PLATFORM", help="its configuration and layers, such as linux/amd64"
    )


async def inspect(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print it."""
    name = options.image.name
    try:
        image = await daemon.get("image", name=name, reference=options.image.reference)
    except RefusedError as error:
        if error.code != "NOT_CACHED":
            raise
        printer.problem(str(error), error.problem)
        printer.error(await _hint(options.image, daemon))
        return FAILED
    if options.platform:
        return await _inspect_platform(image, options.platform, daemon, printer)
    if printer.as_json:
        printer.json(image)
        return DONE
    printer.table(("", ""), list(_facts(image)))
    printer.line("")
    printer.table(_PLATFORMS, [_platform(each) for each in image["platforms"]])
    return DONE


async def _hint(image: ImageName, daemon: IAsksDaemon) -> str:
    """What to look at instead of an image that is not here."""
    try:
        told = await daemon.get("tags", name=image.name, sort="last_used", limit=_TAGS)
    except RefusedError:
        told = {"items": [], "next": None}
    here = [each for each in told["items"] if not _is_gone(each)]
    tags = [tag for each in here for tag in each["tags"]]
    if not tags:
        return "regcachectl ls shows what is"
    more = ", …" if told["next"] or len(tags) > _TAGS else ""
    return f"here of {image.name}: {', '.join(tags[:_TAGS])}{more}"


def _is_gone(row: Mapping[str, Any]) -> bool:
    """Whether nothing of an image is here any more, though its tag is known."""
    platforms = row["platforms"]
    return bool(platforms) and not any(each["manifest_here"] for each in platforms)


async def _inspect_platform(
    image: Mapping[str, Any], platform: str, daemon: IAsksDaemon, printer: Printer
) -> int:
    wanted = [each for each in image["platforms"] if each["platform"] == platform]
    if not wanted:
        known = ", ".join(platform_text(each) for each in image["platforms"]) or "none"
        printer.error(f"{image['name']} has no platform {platform}; it has: {known}")
        return FAILED
    found = await daemon.get("image/platform", name=image["name"], digest=wanted[0]["digest"])
    if printer.as_json:
        printer.json(found)
        return DONE
    rows = [*_settings(found["config"] or {})]
    rows += [("label", f"{each['key']}={each['value']}") for each in found["labels"]]
    printer.table(("", ""), rows)
    printer.line("")
    printer.table(_STEPS, [_step(each) for each in found["steps"]])
    return DONE


def _facts(image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    mark = "@" if ":" in image["reference"] else ":"
    yield "image", f"{image['name']}{mark}{image['reference']}"
    yield "digest", image["digest"]
    yield "tags", ", ".join(image["tags_same_digest"]) or "none"
    yield "stored", size_text(image["stored_bytes"])
    shared = size_text(image["shared_bytes"])
    others = image["shared_with"]
    yield "shared", shared if not others else f"{shared} with {others} more"
    for each in image["attached"]:
        yield each["kind"], f"{each['count']}, {each['here']} here"
    yield "stored since", image["first_fetched"] or "?"
    yield "last used", image["last_used"] or "?"
    yield "checked", image["checked"] or "never"
    yield "pulls in 30 days", "?" if image["pulls_30d"] is None else str(image["pulls_30d"])
    pin = image["pinned"]
    yield "pinned", "no" if pin is None else f"by {pin['by'] or 'somebody'}"


def _platform(found: Mapping[str, Any]) -> tuple[str, ...]:
    here = size_text(found["here_bytes"])
    if not found["manifest_here"]:
        here = "no"
    elif not found["complete"]:
        here = f"{here} of {size_text(found['all_bytes'])}"
    layers = "?" if found["layers"] is None else f"{found['layers_here']}/{found['layers']}"
    last_used = found["last_used"] or "?"
    return platform_text(found), here, layers, last_used, found["digest"]


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, list):
            yield from ((name, str(each)) for each in value)
        elif value:
            yield name, str(value)


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    text = " ".join((step["created_by"] or "").split())[:_LONGEST]
    layer = step["layer"]
    if layer is None:
        return "", "", "", text
    size, here = layer["size_bytes"], layer["here_bytes"]
    state = "yes" if size == here else "no" if not here else size_text(here)
    used = layer["used_by"]
    return size_text(size), state, "?" if used is None else str(used), text
