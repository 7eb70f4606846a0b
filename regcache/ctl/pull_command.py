"""``regcachectl pull``: fetches an image into the cache."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.job_watch import outcome_of, watch_job
from regcache.ctl.naming import add_image_argument
from regcache.ctl.printer import Printer, size_text


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "pull",
        pull,
        help="fetch an image into the cache, so that clients need not wait for it",
        example="regcachectl pull nginx:1.29 --platform linux/amd64 --platform linux/arm64 --pin",
    )
    add_image_argument(parser)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--platform",
        dest="platforms",
        action="append",
        metavar="OS/ARCH",
        help="one of those that it is for; may stand several times (linux/amd64)",
    )
    chosen.add_argument("--all", action="store_true", help="all platforms, and attestations")
    parser.add_argument("--pin", action="store_true", help="pin it, too: it is not evicted")


async def pull(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Begin it, and wait for its end."""
    image = options.image
    body: dict[str, Any] = {"name": image.name, "reference": image.reference, "pin": options.pin}
    if options.all or options.platforms:
        body["platforms"] = "all" if options.all else options.platforms
    begun = await daemon.change("POST", "pull", body)
    told = await watch_job(daemon, printer, begun["job"], f"pulling {image}")
    if printer.as_json:
        printer.json(told)
    status = outcome_of(told, printer)
    if status == DONE and not printer.as_json:
        digest = (told["result"] or {}).get("digest")
        printer.line(f"{image} {digest}: {size_text(told['done_bytes'])} are in the cache")
    return status
