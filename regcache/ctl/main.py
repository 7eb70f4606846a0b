"""Entry point of regcachectl: chooses the subcommand."""

import argparse
import sys
from collections.abc import Sequence

from regcache import __version__
from regcache.collecting import spare_what_is_there, without_collections
from regcache.ctl import (
    check_config,
    client_config_command,
    doctor_command,
    inspect_command,
    job_commands,
    list_command,
    passwd,
    pin_commands,
    prove_command,
    pull_command,
    refresh_command,
    reload_command,
    removal_commands,
    request_commands,
    seat_commands,
    status_command,
    ui_command,
    upstream_test_command,
    usage_command,
    verify_command,
)
from regcache.ctl.command import EARLY, FAILED, add_common_options, take_early_options
from regcache.ctl.printer import NoOutputError
from regcache.ctl.standard_streams import abandon_output, prepare_streams
from regcache.seam.http_without_http2 import load_http

#: Each module adds its own parser. It sets ``work``, if it asks the daemon, or else ``run``, which
#: takes the arguments and gives the exit status.
COMMANDS = (
    status_command,
    list_command,
    inspect_command,
    request_commands,
    usage_command,
    pull_command,
    refresh_command,
    pin_commands,
    removal_commands,
    verify_command,
    upstream_test_command,
    job_commands,
    ui_command,
    reload_command,
    doctor_command,
    client_config_command,
    prove_command,
    check_config,
    passwd,
    seat_commands,
)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    root = argparse.ArgumentParser(prog="regcachectl", description="Operate regcache.")
    root.add_argument("--version", action="version", version=f"regcachectl {__version__}")
    add_common_options(root, EARLY)
    subparsers = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; gives the exit status."""
    prepare_streams()
    root = parser()
    options = root.parse_args(arguments)
    take_early_options(root, options)
    if "work" not in options:
        return _run(options)
    with without_collections():
        # This loads what connects, which takes longer than all else that a command does.
        load_http()
        from regcache.ctl.asking import run

        # Else the first collection, and those at the end, would walk over all of it.
        spare_what_is_there()
    return run(options, options.work)


def _run(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
    except BrokenPipeError:
        abandon_output(sys.stdout)
    except (NoOutputError, OSError) as error:
        abandon_output(sys.stdout)
        print(_why(error), file=sys.stderr)
    return FAILED


def _why(error: NoOutputError | OSError) -> str:
    """What failed: a file, or else the output."""
    if isinstance(error, NoOutputError):
        return str(error)
    return f"{error.filename or 'the output cannot be written'}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main())
