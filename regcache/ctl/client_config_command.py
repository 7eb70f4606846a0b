"""``regcachectl client-config``: how a client program is set up, in words or in files."""

import argparse
from typing import Any

from regcache.client_setup.programs import PROGRAMS
from regcache.ctl.client import IAsksDaemon
from regcache.ctl.client_password import PASSWORD_VARIABLE
from regcache.ctl.command import add_daemon_parser
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "client-config",
        client_config,
        help="show, or write, the files that have a client pull through the cache",
        example="regcachectl client-config containerd --host cache.example.com --write",
    )
    parser.description = (
        f"{parser.description} Where no daemon answers, the file of -c says it, or the usual one."
    )
    parser.add_argument("tool", metavar="TOOL", choices=PROGRAMS, help=", ".join(PROGRAMS))
    parser.add_argument(
        "--host", help="the cache, as clients reach it: HOST, HOST:PORT, or a URL of these"
    )
    parser.add_argument(
        "--upstream",
        action="append",
        default=[],
        metavar="NAME",
        help="only this registry; may be given again",
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--account",
        metavar="NAME",
        help=f"the account that the client uses; {PASSWORD_VARIABLE} or a prompt has its password",
    )
    who.add_argument(
        "--seat",
        metavar="NAME",
        help="the seat that the client is, by the one proof that it can send",
    )
    parser.add_argument("--write", action="store_true", help="write the files; none is lost")
    parser.add_argument("--root", metavar="DIR", default="/", help="write them below this folder")


async def client_config(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Ask for the guide, and print or write it."""
    # All guides and what checks them, which no other command needs.
    from regcache.ctl.client_config_work import show_or_write

    return await show_or_write(options, daemon, printer)
