"""Says what is wrong with a configuration file, to whom starts the daemon and to its service."""

import argparse
import json
import os
import pwd
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

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
    """Check the file: results to stdout, errors and warnings to stderr; as JSON all to stdout."""
    config, errors, warnings = None, list[str](), list[str]()
    try:
        loaded = load(options.file, os.environ)
    except ConfigError as fault:
        errors = fault.lines
    else:
        warnings = [*loaded.warnings, *_for_service(options.file)]
        config = render(loaded.config) if options.print_long_form else None
    if options.json:
        _print_json(config, errors, warnings)
    else:
        _print(config, errors, warnings)
    return 1 if errors else 0


def _print(config: str | None, errors: Sequence[str], warnings: Sequence[str]) -> None:
    for line in (*errors, *(f"warning: {each}" for each in warnings)):
        print(line, file=sys.stderr)
    if not errors:
        sys.stdout.write("ok\n" if config is None else config)


def _print_json(config: str | None, errors: Sequence[str], warnings: Sequence[str]) -> None:
    told: dict[str, Any] = {"ok": not errors, "errors": errors, "warnings": warnings}
    if config is not None:
        told["config"] = yaml.safe_load(config)
    print(json.dumps(told, indent=2))
