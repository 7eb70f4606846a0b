"""Does the work of one command with a daemon, in a reactor that runs for it alone."""

import argparse
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from regcache.ctl.client import NoDaemonError, RefusedError
from regcache.ctl.command import DONE, FAILED, NO_DAEMON, PASSWORD_VARIABLE, USAGE, Work
from regcache.ctl.daemon_client import DaemonClient
from regcache.ctl.locating import DaemonAddress, NoAddressError, locate
from regcache.ctl.printer import NoOutputError, Printer
from regcache.ctl.prompts import NoPasswordError, ask_password

#: What reading an answer raises that has not what the API says.
_STRANGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MOST_TOLD = 200


class NoLoginError(Exception):
    """What the options say of a login cannot be done."""


def run(options: argparse.Namespace, work: Work) -> int:
    """Run a command to its end; gives the exit status."""
    printer = Printer(options.json)
    try:
        address = locate(options.socket, options.url, options.file)
        login = _login(options, address)
    except (NoAddressError, NoLoginError) as error:
        printer.error(str(error))
        return USAGE
    except NoPasswordError as error:
        printer.error(str(error))
        return FAILED

    async def begin(reactor: Any) -> int:
        return await supervise(options, DaemonClient(reactor, address, login), printer, work)

    status = _run_in_reactor(begin)
    if status is None and getattr(options, "follow", False):
        return DONE  # it has no other end
    if status is None:
        printer.error("interrupted; what was begun in the daemon goes on: see regcachectl jobs")
    return FAILED if status is None else status


def _run_in_reactor(begin: Callable[[Any], Coroutine[Any, Any, int]]) -> int | None:
    """Run something until it ends; gives the exit status, or None if it was interrupted."""
    statuses: list[int] = []
    begun: list[Coroutine[Any, Any, None]] = []

    async def do(reactor: Any) -> None:
        statuses.append(await begin(reactor))
        raise SystemExit(statuses[0])  # so the reactor learns it

    def start(reactor: Any) -> Deferred[None]:
        begun.append(do(reactor))
        return Deferred.fromCoroutine(begun[0])

    try:
        react(start)
    except (SystemExit, KeyboardInterrupt) as stop:
        for each in begun:
            each.close()  # what it shows ends: a bar has hidden the cursor
        if statuses:
            return statuses[0]
        if isinstance(stop, KeyboardInterrupt) or not stop.code:
            return None
    return FAILED


async def supervise(
    options: argparse.Namespace, client: DaemonClient, printer: Printer, work: Work
) -> int:
    """Do the work of a command, and say how it failed. Gives the exit status."""
    try:
        status = await _work(options, client, printer, work)
        printer.flush()
        return status
    except BrokenPipeError:
        printer.abandon()
    except NoOutputError as error:
        printer.abandon()
        printer.error(str(error))
    return FAILED


async def _work(
    options: argparse.Namespace, client: DaemonClient, printer: Printer, work: Work
) -> int:
    try:
        if options.link:
            await client.open_link(options.link)
        return await work(options, client, printer)
    except NoDaemonError as error:
        printer.error(str(error))
        return NO_DAEMON
    except RefusedError as error:
        printer.problem(str(error), error.problem)
        return FAILED
    except _STRANGE as error:
        why = f"{type(error).__name__}: {error}"[:_MOST_TOLD]
        printer.error(f"the answer is not regcache's, or that of another version ({why})")
        return FAILED


def _login(options: argparse.Namespace, address: DaemonAddress) -> tuple[str, str] | None:
    """The account and password that are shown; None for none.

    :raises NoLoginError: if that cannot be.
    :raises NoPasswordError: if it was asked for in vain.
    """
    if (options.user or options.link) and not address.url:
        raise NoLoginError("--user and --link are for --url")
    if not options.user:
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        password = ask_password(f"Password of {options.user}: ")
    if password is None:
        raise NoLoginError(f"--user: without a terminal {PASSWORD_VARIABLE} has to be set")
    return options.user, password
