"""Short cuts of the tests of regcache.config."""

from textwrap import dedent

from regcache.config.loading import Loaded, loads
from regcache.config.problems import ConfigError

NAME = "x.yml"


def loaded(text: str, **environ: str) -> Loaded:
    """Load a text that may be indented."""
    return loads(dedent(text), NAME, environ)


def errors(text: str, **environ: str) -> list[str]:
    """The errors of a text without the file's name; empty if there are none."""
    try:
        loaded(text, **environ)
    except ConfigError as fault:
        return [line.removeprefix(f"{NAME}:") for line in fault.lines]
    return []


def warnings(text: str) -> list[str]:
    """The warnings of a text without the file's name."""
    return [line.removeprefix(f"{NAME}:") for line in loaded(text).warnings]
