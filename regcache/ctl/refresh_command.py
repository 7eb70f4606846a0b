"""``regcachectl refresh``: asks the upstream what a tag names now."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, USAGE, add_daemon_parser
from regcache.ctl.naming import add_image_argument
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "refresh",
        refresh,
        help="ask the upstream now what a tag names, however fresh the copy is",
        example="regcachectl refresh nginx:1.29",
    )
    add_image_argument(parser)


async def refresh(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Ask, and say what it is."""
    image = options.image
    if image.digest:
        printer.error(f"{image}: a digest always names the same; write a tag")
        return USAGE
    body = {"name": image.name, "reference": image.reference}
    told = await daemon.change("POST", "refresh", body)
    if printer.as_json:
        printer.json(told)
        return DONE
    name = f"{image.name}:{image.reference}"
    if told["was"] is None:
        printer.line(f"{name} is {told['digest']}; it was not here")
    elif told["moved"]:
        printer.line(f"{name} has moved: {told['digest']}; it was {told['was']}")
    else:
        printer.line(f"{name} is still {told['digest']}")
    return DONE
