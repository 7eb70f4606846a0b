"""``regcachectl verify``: hashes all that is stored, and says what was damaged."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, FAILED, add_daemon_parser
from regcache.ctl.job_watch import outcome_of, watch_job
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "verify",
        verify,
        help="hash all that is stored, remove what is damaged, and name it",
        example="regcachectl verify --upstream docker.io",
    )
    parser.add_argument("--upstream", metavar="NAME", help="only what this one has a right to")


async def verify(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Begin it, and wait for its end."""
    body = {} if options.upstream is None else {"upstream": options.upstream}
    begun = await daemon.change("POST", "verify", body)
    told = await watch_job(daemon, printer, begun["job"], "verifying")
    found = told["result"] or {}
    if printer.as_json:
        printer.json(told)
    else:
        _print(found, printer)
    status = outcome_of(told, printer)
    return FAILED if status == DONE and found.get("damaged_count") else status


def _print(found: dict[str, Any], printer: Printer) -> None:
    images = {each["digest"]: each["images"] for each in found.get("damaged_images", ())}
    for digest in found.get("damaged", ()):
        belongs = f", of {', '.join(images[digest])}" if images.get(digest) else ""
        printer.line(f"damaged, and removed: {digest}{belongs}")
    names = {"blobs": "verified", "damaged_count": "damaged", "missing": "missing"}
    names["adopted"] = "unknown until now"
    counts = ", ".join(f"{found.get(name, 0)} {text}" for name, text in names.items())
    printer.line(counts)
