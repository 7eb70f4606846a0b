"""Environment variables inside texts of the configuration."""

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]{0,200})\}|\$\{")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace ``${NAME}`` by the environment's value, and ``$${`` by ``${``.

    :raises ValueError: if a variable is not set, or ``${`` begins no valid name.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise ValueError("${ begins no ${NAME}; a literal ${ is written $${")
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(replace, text)
