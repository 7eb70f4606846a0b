"""What all commands that ask the daemon have in common: their options, their run, their exit.

======  ==================================================================
status  meaning
======  ==================================================================
0       done
1       it failed, or the daemon refused it
2       wrong usage
3       no daemon answers
======  ==================================================================
"""

import argparse
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from regcache.ctl.client import DaemonClient, IAsksDaemon, NoDaemonError, RefusedError
from regcache.ctl.locating import NoAddressError, locate
from regcache.ctl.printer import Printer

DONE, FAILED, USAGE, NO_DAEMON = 0, 1, 2, 3
PASSWORD_VARIABLE = "REGCACHE_PASSWORD"

EARLY = "early_"
"""Before the names of options that come before the command."""

_WHERE = (
    ("--socket", "socket", "PATH", "its unix socket (admin.socket)"),
    ("-c", "file", "FILE", "the configuration that names it"),
    ("--url", "url", "URL", "the URL of its admin endpoint, or of an admin host"),
    (
        "--user",
        "user",
        "NAME",
        f"an account, for --url; {PASSWORD_VARIABLE} or a prompt has its password",
    ),
    ("--link", "link", "LINK", "a one-time link of 'regcachectl ui', for --url"),
)

#: What reading an answer raises that has not what the API says.
_STRANGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MOST_TOLD = 200

Work = Callable[[argparse.Namespace, IAsksDaemon, Printer], Awaitable[int]]
"""Does what a command is for; gives the exit status.

It need not catch what the client raises.
"""


def add_daemon_parser(
    commands: Any, name: str, work: Work, *, help: str, example: str
) -> argparse.ArgumentParser:
    """The parser of a command that asks the daemon.

    :param commands: of :meth:`argparse.ArgumentParser.add_subparsers`.
    :param help: one line.
    :param example: a command line, shown by ``--help``.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[:1].upper()}{help[1:]}.",
        epilog=f"example: {example}",
    )
    add_common_options(parser)
    parser.set_defaults(run=lambda options: run(options, work))
    return parser


def add_common_options(parser: argparse.ArgumentParser, prefix: str = "") -> None:
    """Add the options of all commands that ask the daemon.

    :param prefix: of the names under which they are kept.
    """
    where = parser.add_argument_group("where the daemon is")
    for flag, name, metavar, text in _WHERE:
        where.add_argument(flag, dest=prefix + name, metavar=metavar, help=text)
    text = "print the answer of the API"
    parser.add_argument("--json", dest=f"{prefix}json", action="store_true", help=text)


def take_early_options(root: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Let options before the command count as those behind it, which go first."""
    for name in (*(name for _, name, _, _ in _WHERE), "json"):
        given = getattr(options, EARLY + name)
        if given and not hasattr(options, "json"):
            root.error("-c, --url and the like are for commands that ask the daemon")
        if given and not getattr(options, name):
            setattr(options, name, given)


def run(options: argparse.Namespace, work: Work) -> int:
    """Run a command to its end; gives the exit status."""
    printer = Printer(options.json)
    try:
        address = locate(options.socket, options.url, options.file)
    except NoAddressError as error:
        printer.error(str(error))
        return USAGE
    if (options.user or options.link) and not address.url:
        printer.error("--user and --link are for --url")
        return USAGE
    login = None
    if options.user:
        password = _password(options.user)
        if password is None:
            printer.error(f"--user: without a terminal {PASSWORD_VARIABLE} has to be set")
            return USAGE
        login = (options.user, password)

    ended = False

    async def ask(reactor: Any) -> None:
        nonlocal ended
        client = DaemonClient(reactor, address, login)
        status = await supervise(options, client, printer, work)
        ended = True
        raise SystemExit(status)  # so the reactor learns it

    try:
        react(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
    except SystemExit as stop:
        if ended or stop.code:
            return int(stop.code or 0)
        printer.error("interrupted; what was begun in the daemon goes on: see regcachectl jobs")
        return FAILED


async def supervise(
    options: argparse.Namespace, client: DaemonClient, printer: Printer, work: Work
) -> int:
    """Do the work of a command, and say how it failed. Gives the exit status."""
    try:
        if options.link:
            await client.open_link(options.link)
        status = await work(options, client, printer)
        printer.flush()
        return status
    except BrokenPipeError:
        printer.abandon()
        return FAILED
    except NoDaemonError as error:
        printer.error(str(error))
        return NO_DAEMON
    except RefusedError as error:
        printer.error(str(error))
        return FAILED
    except _STRANGE as error:
        why = f"{type(error).__name__}: {error}"[:_MOST_TOLD]
        printer.error(f"the answer is not regcache's, or that of another version ({why})")
        return FAILED


def _password(user: str) -> str | None:
    """The password of an account; None if there is no terminal to ask at."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {user}: ")
    return password
