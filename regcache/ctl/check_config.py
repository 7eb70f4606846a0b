"""``regcachectl check-config``: says what is wrong with a configuration file."""

import argparse
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from regcache.config import ConfigError, load
from regcache.config.printing import render

#: Of the package and of docs/install.md.
SERVICE_USER = "regcache"


class Commands(Protocol):
    """What :meth:`argparse.ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:
        """The parser of one more command."""


def add_parser(commands: Commands) -> None:
    """Add this command."""
    parser = commands.add_parser(
        "check-config",
        help="check a configuration file",
        description="Check a configuration file as a start would. Prints ok, or every error as "
        "file:line: key.path: why, and exits 0 or 1.",
    )
    parser.add_argument(
        "--print",
        dest="print_long_form",
        action="store_true",
        help="show the long form that the file stands for, without secrets",
    )
    parser.add_argument("file", metavar="FILE")
    parser.set_defaults(run=run)


def service_errors(file: str, user: str) -> list[str]:
    """What keeps a service with a user of its own from starting, where root finds nothing wrong.

    Empty also where there is no such user, or where it may not read the file: then it is another's.
    """
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return []
    try:
        with _acting_as(account), open(file, "rb"):
            load(file, os.environ)
    except ConfigError as fault:
        return fault.lines
    except OSError:
        return []
    return []


@contextmanager
def _acting_as(account: pwd.struct_passwd) -> Iterator[None]:
    """Have the rights of a user, and afterwards those of root again."""
    group, groups = os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _for_service(file: str) -> list[str]:
    """What root has to be told of the service of the package."""
    if os.geteuid() != 0:
        return []
    told = f"the service would not start, as its user is {SERVICE_USER}: "
    return [f"{told}{each}" for each in service_errors(file, SERVICE_USER)]


def run(options: argparse.Namespace) -> int:
    """Check the file: results to stdout, errors and warnings to stderr."""
    try:
        loaded = load(options.file, os.environ)
    except ConfigError as fault:
        print("\n".join(fault.lines), file=sys.stderr)
        return 1
    for warning in (*loaded.warnings, *_for_service(options.file)):
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(render(loaded.config) if options.print_long_form else "ok\n")
    return 0
