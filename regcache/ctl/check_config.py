"""``regcachectl check-config``: says what is wrong with a configuration file."""

import argparse
import os
import sys
from typing import Protocol

from regcache.config import ConfigError, load
from regcache.config.printing import render


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


def run(options: argparse.Namespace) -> int:
    """Check the file: results to stdout, errors and warnings to stderr."""
    try:
        loaded = load(options.file, os.environ)
    except ConfigError as fault:
        print("\n".join(fault.lines), file=sys.stderr)
        return 1
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(render(loaded.config) if options.print_long_form else "ok\n")
    return 0
