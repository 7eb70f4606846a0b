"""``regcachectl ls``: which images are here."""

import argparse
from collections.abc import Mapping
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.naming import ImageName, image_name
from regcache.ctl.paging import all_pages, all_repositories
from regcache.ctl.printer import Printer, size_text

SORTS = ("name", "size", "last_used", "pulls", "tags")
_REPOSITORIES = ("repository", "tags", "platforms", "stored", "shared", "pulls", "last used")
_IMAGES = ("tags", "digest", "platforms", "frees", "checked", "last used")


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "ls",
        list_images,
        help="which repositories are here, or which images of one",
        example="regcachectl ls nginx:1.2 --sort last_used",
    )
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="a part of the name; behind a colon, of a tag"
    )
    parser.add_argument("--upstream", metavar="NAME", help="only those of this upstream")
    parser.add_argument("--part", action="store_true", help="only those that are partly here")
    parser.add_argument("--pinned", action="store_true", help="only those with a pinned tag")
    parser.add_argument("--sort", choices=SORTS, help="by name, else what is most first")
    parser.add_argument(
        "--tags",
        metavar="REPOSITORY",
        type=image_name,
        help="the images of this repository instead",
    )


async def list_images(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print them."""
    if options.tags is not None:
        return await _list_tags(options.tags, options, daemon, printer)
    found, missing = await all_repositories(
        daemon,
        q=options.text,
        upstream=options.upstream,
        part="true" if options.part else None,
        pinned="true" if options.pinned else None,
        sort=options.sort,
    )
    if missing:
        printer.error(missing)
    if printer.as_json:
        printer.json_rows(found)
        return DONE
    asked = (options.text, options.upstream, options.part, options.pinned)
    none = f"nothing {'like this ' if any(asked) else ''}is in the cache; no upstream was asked"
    printer.table(_REPOSITORIES, [_repository(each) for each in found], none)
    return DONE


async def _list_tags(
    name: ImageName, options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer
) -> int:
    found = await all_pages(daemon, "tags", name=name.name, q=options.text or name.tag or None)
    if printer.as_json:
        printer.json_rows(found)
        return DONE
    none = f"no such image of {name.name} is in the cache; no upstream was asked"
    printer.table(_IMAGES, [_image(each) for each in found], none)
    return DONE


def _repository(found: Mapping[str, Any]) -> tuple[str, ...]:
    tags, pinned = str(found["tags"]), found["pinned_tags"]
    return (
        found["name"],
        f"{tags}, {pinned} pinned" if pinned else tags,
        ", ".join(_sum(each) for each in found["platforms"]) or "nothing",
        size_text(found["stored_bytes"]),
        size_text(found["shared_bytes"]),
        "?" if found["pulls_30d"] is None else str(found["pulls_30d"]),
        found["last_used"] or "?",
    )


def _sum(platform: Mapping[str, Any]) -> str:
    """A platform of a repository; how much of it is here, unless that is all."""
    share = share_text(platform["here_bytes"], platform["all_bytes"])
    whole = not platform["partial_tags"]
    return platform_text(platform) if whole else f"{platform_text(platform)} {share}"


def _image(found: Mapping[str, Any]) -> tuple[str, ...]:
    tags = ", ".join(found["tags"]) or "none"
    return (
        f"{tags} (pinned)" if found["pinned"] else tags,
        found["digest"],
        ", ".join(platform_state(each) for each in found["platforms"]) or "nothing",
        size_text(found["frees_bytes"]),
        found["checked"] or "?",
        found["last_used"] or "?",
    )


def platform_text(platform: Mapping[str, Any]) -> str:
    """The name of a platform, or that it is not known."""
    return str(platform["platform"] or "unknown platform")


def platform_state(platform: Mapping[str, Any]) -> str:
    """A platform of an image, with how much of it is here."""
    if platform["complete"]:
        return platform_text(platform)
    if not platform["manifest_here"]:
        return f"{platform_text(platform)} not here"
    share = share_text(platform["here_bytes"], platform["all_bytes"])
    return f"{platform_text(platform)} {share}"


def share_text(here: int, size: int | None) -> str:
    """A share in whole per cent; never 100 for less than all."""
    return "?" if not size else f"{min(99, 100 * here // size)}%"
