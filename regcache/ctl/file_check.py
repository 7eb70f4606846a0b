"""Says what is wrong with a configuration file, to whom starts the daemon and to its service."""

import argparse
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from regcache.config.loading import load
from regcache.config.printing import render
from regcache.config.problems import ConfigError

#: Of the package and of docs/install.md.
SERVICE_USER = "regcache"


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


def check_file(options: argparse.Namespace) -> int:
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
