"""``regcachectl doctor``: looks at everything that may be wrong, and says what to type."""

import argparse
import os
from typing import Any

from regcache.ctl.client import IAsksDaemon, NoDaemonError, RefusedError
from regcache.ctl.command import DONE, FAILED, add_daemon_parser
from regcache.ctl.printer import Printer
from regcache.ctl.usual_files import configuration_without_daemon
from regcache.doctor.findings import Level

_REFUSALS = ("FORBIDDEN", "UNAUTHENTICATED", "UNAVAILABLE")


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "doctor",
        doctor,
        help="look at everything that may be wrong, and say what to type",
        example="regcachectl doctor",
    )
    parser.description = (
        f"{parser.description} The upstreams are asked, if an administrator asks for it. Without a "
        "daemon it looks at what the configuration names. The status is 1 if something is bad."
    )
    parser.add_argument(
        "--quiet-upstreams", action="store_true", help="ask no upstream: tell what is known"
    )


async def doctor(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Have the daemon look, or look ourselves."""
    try:
        items = await _of_daemon(options, daemon, printer)
    except NoDaemonError as error:
        file = configuration_without_daemon(options)
        if file is None:
            raise
        printer.error(str(error))
        # This loads all of the configuration's rules, which a daemon that answers has itself.
        from regcache.ctl.local_doctor import local_findings

        items = [each.told() for each in local_findings(file, os.environ)]
    if printer.as_json:
        printer.json({"items": items})
    else:
        rows = [(each["level"], each["check"], each["text"], each["fix"] or "") for each in items]
        printer.table(("", "check", "", "type, or change"), rows)
    return FAILED if any(each["level"] == Level.BAD.value for each in items) else DONE


async def _of_daemon(
    options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer
) -> list[dict[str, Any]]:
    if not options.quiet_upstreams:
        try:
            answer = await daemon.change("POST", "doctor", {})
            return list(answer["items"])
        except RefusedError as error:
            if error.code not in _REFUSALS:
                raise
            printer.error(f"the upstreams are not asked: {error}")
    return list((await daemon.get("doctor"))["items"])
