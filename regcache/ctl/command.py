"""What all commands that ask the daemon have in common: their options, and their exit.

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
from collections.abc import Awaitable, Callable
from typing import Any

from regcache.ctl.client import IAsksDaemon
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
    parser.set_defaults(work=work)
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
        if given and not hasattr(options, "json" if name == "json" else "socket"):
            root.error("-c, --url and the like are for commands that ask the daemon")
        if given and not getattr(options, name):
            setattr(options, name, given)
