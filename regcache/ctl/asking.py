"""Does the work of one command with a daemon, in a reactor that runs for it alone."""

import argparse
import getpass
import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.command import FAILED, NO_DAEMON, PASSWORD_VARIABLE, USAGE, Work
from regcache.ctl.daemon_client import DaemonClient
from regcache.ctl.locating import NoAddressError, locate
from regcache.ctl.printer import Printer

#: What reading an answer raises that has not what the API says.
_STRANGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MOST_TOLD = 200


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
