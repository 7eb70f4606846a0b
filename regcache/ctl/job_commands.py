"""``regcachectl jobs`` and ``cancel``: work that goes on in the daemon."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.printer import Printer, size_text


def add_parser(commands: Any) -> None:
    """Add these commands."""
    add_daemon_parser(
        commands,
        "jobs",
        show_jobs,
        help="what goes on in the daemon, and what has: pulls, removals, verifications",
        example="regcachectl jobs",
    )
    parser = add_daemon_parser(
        commands,
        "cancel",
        cancel,
        help="call a job off; what it has done until then stays done",
        example="regcachectl cancel 6b1f0c2d9a77e543",
    )
    parser.add_argument("job", metavar="JOB", help="its id, as 'regcachectl jobs' shows it")


async def show_jobs(_: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print them, the latest first."""
    told = await daemon.get("jobs")
    if printer.as_json:
        printer.json(told)
        return DONE
    columns = ("id", "kind", "state", "began", "by", "done", "what")
    none = "no job was begun since the daemon started"
    printer.table(columns, [_row(each) for each in told["items"]], none)
    return DONE


async def cancel(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Call it off."""
    told = await daemon.change("POST", "jobs/cancel", {"id": options.job})
    if printer.as_json:
        printer.json(told)
    else:
        printer.line(f"{told['kind']} {told['id']}: {told['state']}")
    return DONE


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    done = size_text(job["done_bytes"])
    if job["total_bytes"] is not None:
        done += f" of {size_text(job['total_bytes'])}"
    result = job["result"] or {}
    about = result.get("name", "")
    if "reference" in result:
        about += f"{'@' if ':' in result['reference'] else ':'}{result['reference']}"
    what = job["error"] or about
    return (job["id"], job["kind"], job["state"], job["began"], job["by"] or "", done, what)
