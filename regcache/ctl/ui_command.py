"""``regcachectl ui``: a link that opens the web pages as an administrator."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, FAILED, add_daemon_parser
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    add_daemon_parser(
        commands,
        "ui",
        show_link,
        help="print a link to the web pages, good for one use within five minutes",
        example="regcachectl ui",
    )


async def show_link(_: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print the link, under each address where the pages are."""
    made = await daemon.change("POST", "session/link", {})
    if printer.as_json:
        printer.json(made)
        return DONE
    for url in made["urls"]:
        printer.line(url)
    if not made["urls"]:
        printer.error("the daemon has no address for browsers: set admin.endpoint or admin.hosts")
        return FAILED
    return DONE
