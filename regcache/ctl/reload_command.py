"""``regcachectl reload``: has the daemon read its configuration file again."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon, RefusedError
from regcache.ctl.command import DONE, FAILED, add_daemon_parser
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    add_daemon_parser(
        commands,
        "reload",
        reload,
        help="have the configuration file read again, and name what changed",
        example="regcachectl reload",
    )


async def reload(_: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Ask for it. What is wrong with the file goes to standard error, as with check-config."""
    try:
        answer = await daemon.change("POST", "reload", {})
    except RefusedError as error:
        if error.code != "WRONG_CONFIG":
            raise
        if printer.as_json:
            printer.json(error.problem)
        for line in error.problem["params"]["errors"]:
            printer.error(str(line))
        printer.error(str(error))
        return FAILED
    if printer.as_json:
        printer.json(answer)
        return DONE
    for line in answer["warnings"]:
        printer.error(f"warning: {line}")
    for key in answer["restart"]:
        printer.error(f"{key}: takes a restart; until then the old value stays")
    for key in answer["changed"]:
        printer.line(f"changed: {key}")
    if not answer["changed"]:
        printer.line("the file is in force; nothing has changed since it was read last")
    return DONE
