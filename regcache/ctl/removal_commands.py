"""``regcachectl rm``, ``sweep`` and ``purge``: have something leave the disk."""

import argparse
from collections.abc import AsyncIterator, Sequence
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import FAILED, USAGE, add_daemon_parser
from regcache.ctl.naming import NamedTarget, named_target
from regcache.ctl.paging import all_pages, all_repositories
from regcache.ctl.plan_run import add_plan_arguments, plan_and_run
from regcache.ctl.printer import Printer
from regcache.globs import glob_matches
from regcache.sizes import WITHOUT_UNIT, parse_size

_MOST_BYTES = 2**53
"""What the API takes: larger numbers are not exact in every reader of JSON."""
_HOW = "shows what would go, and asks"


def add_parser(commands: Any) -> None:
    """Add these commands."""
    parser = add_daemon_parser(
        commands,
        "rm",
        remove,
        help=f"remove images, repositories, or all of an upstream; {_HOW}",
        example="regcachectl rm nginx:1.27 'quay.io/org/app:pr-*' ghcr.io/org/old",
    )
    parser.add_argument(
        "targets",
        metavar="TARGET",
        nargs="+",
        type=named_target,
        help="an image (nginx:1.27, nginx@sha256:…), a repository with all its images (nginx), an "
        "upstream with all its repositories (quay.io), or a pattern ('nginx:1.2*', 'org/*')",
    )
    add_plan_arguments(parser)
    _add_sweep(commands)
    parser = add_daemon_parser(
        commands,
        "purge",
        purge,
        help=f"empty the cache, but for what is pinned; {_HOW}",
        example="regcachectl purge --upstream docker.io --dry-run",
    )
    parser.add_argument("--upstream", metavar="NAME", help="only what this one has a right to")
    add_plan_arguments(parser)


def _add_sweep(commands: Any) -> None:
    parser = add_daemon_parser(
        commands,
        "sweep",
        sweep,
        help=f"remove what was not used for long; {_HOW}",
        example="regcachectl sweep --unused-for 14 --dry-run",
    )
    parser.add_argument(
        "--unused-for",
        metavar="DAYS",
        type=_days,
        help="what was not used for so many days (storage.unused_for)",
    )
    parser.add_argument(
        "--to", metavar="SIZE", type=_size, help="what is used least, until so much is left (20GiB)"
    )
    parser.add_argument("--upstream", metavar="NAME", help="only what this one has a right to")
    add_plan_arguments(parser)


def _days(text: str) -> int:
    if not text.isdigit() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text}: write a number of days")
    return int(text)


def _size(text: str) -> int:
    if text == "0":
        return 0
    if text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: {WITHOUT_UNIT}")
    try:
        size = parse_size(text, text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size > _MOST_BYTES:
        raise argparse.ArgumentTypeError(f"{text}: it must be at most 8PiB")
    return size


async def sweep(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Remove what is used least."""
    wanted = {
        "action": "sweep",
        "unused_for_days": options.unused_for,
        "to_bytes": options.to,
        "upstream": options.upstream,
    }
    return await plan_and_run(options, daemon, printer, _without_nothing(wanted))


async def purge(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Remove everything that is not pinned."""
    wanted = {"action": "purge", "upstream": options.upstream}
    return await plan_and_run(options, daemon, printer, _without_nothing(wanted))


def _without_nothing(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


async def remove(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Remove what is named."""
    upstreams = [each.upstream for each in options.targets if each.upstream]
    if upstreams and len(options.targets) > 1:
        printer.error(f"{upstreams[0]}: an upstream has to be named alone")
        return USAGE
    if upstreams:
        wanted = {"action": "delete", "upstream": upstreams[0]}
        return await plan_and_run(options, daemon, printer, wanted)
    repositories, missing = await _listed_for(options.targets, daemon)
    if missing:
        printer.error(missing)
        return FAILED
    targets = await _expand(options.targets, repositories, daemon)
    if not targets:
        names = ", ".join(map(str, options.targets))
        printer.error(f"nothing in the cache has a name like {names}")
        return FAILED
    wanted = {"action": "delete", "targets": targets}
    return await plan_and_run(options, daemon, printer, wanted)


async def _listed_for(targets: Sequence[NamedTarget], daemon: IAsksDaemon) -> tuple[list[str], str]:
    """The repositories that patterns are compared with, and what is missing there."""
    if all(each.image is not None for each in targets):
        return [], ""
    rows, missing = await all_repositories(daemon)
    return [each["name"] for each in rows], missing


async def _expand(
    targets: Sequence[NamedTarget], repositories: Sequence[str], daemon: IAsksDaemon
) -> list[dict[str, str]]:
    """Targets as the API takes them, each once."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for target in targets:
        async for name, reference in _named_by(target, repositories, daemon):
            body = {"name": name, "reference": reference} if reference else {"name": name}
            found[name, reference] = body
    return list(found.values())


async def _named_by(
    target: NamedTarget, repositories: Sequence[str], daemon: IAsksDaemon
) -> AsyncIterator[tuple[str, str]]:
    image = target.image
    if image is not None:
        yield image.name, "" if image.is_repository else image.reference
        return
    for name in repositories:
        if not glob_matches(target.name_pattern, name):
            continue
        if not target.tag_pattern:
            yield name, ""
            continue
        for row in await all_pages(daemon, "tags", name=name):
            for tag in row["tags"]:
                if glob_matches(target.tag_pattern, tag):
                    yield name, tag
