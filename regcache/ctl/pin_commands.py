"""``regcachectl pin`` and ``unpin``: what is never evicted."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.naming import add_image_argument
from regcache.ctl.paging import all_pages
from regcache.ctl.printer import Printer, size_text


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
        return await _change(options, daemon, printer, ("pin", "pinned"))
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
    printer.table(("image", "its own", "by", "since"), rows)
    return DONE


async def unpin(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Take them back."""
    return await _change(options, daemon, printer, ("unpin", "no longer pinned"))


async def _change(
    options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer, what: tuple[str, str]
) -> int:
    call, words = what
    targets = [{"name": each.name, "reference": each.reference} for each in options.image]
    told = await daemon.change("POST", call, {"targets": targets})
    if printer.as_json:
        printer.json(told)
    else:
        same = len(targets) - told["changed"]
        before = f"; {same} were so before" if same else ""
        printer.line(f"{told['changed']} {words}{before}")
    return DONE
