"""``regcachectl check-config``: says what is wrong with a configuration file."""

import argparse
from typing import Protocol


class Commands(Protocol):
    """What :meth:`argparse.ArgumentParser.add_subparsers` gives."""

    def add_parser(
        self, name: str, *, help: str, description: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        """The parser of one more command."""


def add_parser(commands: Commands) -> None:
    """Add this command."""
    parser = commands.add_parser(
        "check-config",
        help="check a configuration file",
        description="Check a configuration file as a start would. Prints ok, or every error as "
        "file:line: key.path: why, and exits 0 or 1.",
        epilog="example: regcachectl check-config --print /etc/regcache/regcache.yml",
    )
    parser.add_argument(
        "--print",
        dest="print_long_form",
        action="store_true",
        help="show the long form that the file stands for, without secrets",
    )
    text = "print ok, errors and warnings as JSON, and with --print the long form as config"
    parser.add_argument("--json", action="store_true", help=text)
    parser.add_argument("file", metavar="FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the file; gives the exit status."""
    # All rules of the configuration, which hardly another command needs.
    from regcache.ctl.file_check import check_file

    return check_file(options)
