"""regcachectl's command line as plain values, for manual pages and completion."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FILES = frozenset({"FILE", "PATH", "DIR"})


@dataclass(frozen=True)
class Argument:
    """An option, or a positional argument.

    :ivar flags: an option's names; empty for a positional argument.
    :ivar value: what stands for its value; "" where it takes none.
    :ivar choices: the values that there are, where they are few.
    """

    flags: Sequence[str]
    value: str
    help: str
    choices: Sequence[str] = ()

    @property
    def is_file(self) -> bool:
        """Whether the value names a file."""
        return self.value in _FILES


@dataclass(frozen=True)
class Command:
    """One subcommand; one within another has both names.

    :ivar help: what the list of commands says.
    """

    name: str
    help: str
    description: str
    epilog: str
    usage: str
    arguments: Sequence[Argument]

    @property
    def options(self) -> list[Argument]:
        """The arguments with flags."""
        return [one for one in self.arguments if one.flags]

    @property
    def positional(self) -> list[Argument]:
        """The others."""
        return [one for one in self.arguments if not one.flags]


def commands(parser: argparse.ArgumentParser, above: str = "") -> Iterator[Command]:
    """The subcommands of a parser, in their order."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {one.dest: one.help or "" for one in action._choices_actions}
        for name, child in action.choices.items():
            yield _command(f"{above}{name}", helps.get(name, ""), child)
            yield from commands(child, f"{above}{name} ")


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    usage = parser.format_usage().partition(": ")[2]
    return Command(
        name,
        _plain(text),
        _plain(parser.description or text),
        (parser.epilog or "").strip(),
        " ".join(usage.split()),
        list(_arguments(parser)),
    )


def _arguments(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in parser._actions:
        if action.help is argparse.SUPPRESS:
            continue
        text = _plain((action.help or "") % {"prog": parser.prog, "default": action.default})
        nested = isinstance(action, argparse._SubParsersAction)
        choices = [str(one) for one in action.choices or ()]
        value = "" if action.nargs == 0 else _value(action, choices)
        yield Argument(list(action.option_strings), value, text, [] if nested else choices)


def _value(action: argparse.Action, choices: Sequence[str]) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if choices:
        return "|".join(choices)
    return action.dest.upper()


def _plain(text: str) -> str:
    return " ".join(text.split())
