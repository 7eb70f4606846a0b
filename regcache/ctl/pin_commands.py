"""``regcachectl pin`` and ``unpin``: what is never evicted."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon, RefusedError
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.naming import ImageName, add_image_argument
from regcache.ctl.paging import all_pages
from regcache.ctl.printer import Printer, size_text

#: By whom an image is pinned that a pattern of the configuration names.
_PATTERN = "storage.pin"


def add_parser(commands: Any) -> None:
    """Add these commands."""
    parser = add_daemon_parser(
        commands,
        "pin",
        pin,
        help="keep images from being evicted, or list those that are pinned by hand",
        example="regcachectl pin nginx:1.29 quay.io/prometheus/node-exporter:v1.9.0",
    )
    add_image_argument(parser, nargs="*")
    parser = add_daemon_parser(
        commands,
        "unpin",
        unpin,
        help="take pins back that were set by hand",
        example="regcachectl unpin nginx:1.29",
    )
    add_image_argument(parser, nargs="+")


async def pin(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Pin them, or list what is pinned."""
    if options.image:
        return await _change(options, daemon, printer, ("pin", "pinned", "pinned before"))
    items = await all_pages(daemon, "pins")
    if printer.as_json:
        printer.json_rows(items)
        return DONE
    rows = [
        (
            f"{each['name']}{'@' if ':' in each['reference'] else ':'}{each['reference']}",
            size_text(each["own_bytes"]),
            each["by"] or "",
            each["since"],
        )
        for each in items
    ]
    printer.table(("image", "its own", "by", "since"), rows, "nothing is pinned by hand")
    return DONE


async def unpin(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Take them back."""
    return await _change(
        options, daemon, printer, ("unpin", "no longer pinned", "not pinned by hand")
    )


async def _change(
    options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer, what: tuple[str, str, str]
) -> int:
    call, words, unchanged = what
    targets = [{"name": each.name, "reference": each.reference} for each in options.image]
    told = await daemon.change("POST", call, {"targets": targets})
    if printer.as_json:
        printer.json(told)
        return DONE
    same = len(targets) - told["changed"]
    before = f"; {same} {'was' if same == 1 else 'were'} {unchanged}" if same else ""
    printer.line(f"{told['changed']} {words}{before}")
    for each in options.image:
        if note := await _note(each, daemon, is_pinned=call == "pin"):
            printer.line(note)
    return DONE


async def _note(image: ImageName, daemon: IAsksDaemon, *, is_pinned: bool) -> str:
    """What may be meant otherwise of an image that was pinned, or was until now; "" for nothing."""
    shown = f"{image.name}{'@' if image.digest else ':'}{image.reference}"
    try:
        found = await daemon.get("image", name=image.name, reference=image.reference)
    except RefusedError as error:
        is_missing = is_pinned and error.code == "NOT_CACHED"
        return f"{shown} is not in the cache: it is kept once it comes" if is_missing else ""
    if is_pinned or found["pinned"] is None:
        return ""
    by = found["pinned"]["by"]
    return f"{shown} stays pinned, by {by if by == _PATTERN else 'another pin of what it names'}"
