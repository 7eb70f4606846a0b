"""What is wrong with a configuration, collected line by line."""

KeyPath = tuple[str | int, ...]

#: Lines that are shown. More than these are not read; the rest are counted only.
MAXIMUM_LINES = 500


class ConfigError(Exception):
    """The configuration cannot be used.

    :ivar lines: every problem, as ``file:line: key.path: why``.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def printable(text: str, limit: int = 80) -> str:
    """Shorten a text, and escape what a terminal or a log should not get."""
    short = text if len(text) <= limit else text[:limit] + "..."
    if short.isprintable():
        return short
    return short.encode("unicode_escape", "backslashreplace").decode("ascii")


def render_path(path: KeyPath) -> str:
    """``("listeners", 0, "endpoint")`` as ``listeners[0].endpoint``."""
    rendered = ""
    for part in path:
        if isinstance(part, int):
            rendered += f"[{part}]"
        else:
            rendered += ("." if rendered else "") + printable(part)
    return rendered


class Problems:
    """Collects errors and warnings of one file."""

    def __init__(self, name: str) -> None:
        self._name = printable(name, 1000)
        self._errors: dict[tuple[int, str], None] = {}
        self._warnings: dict[tuple[int, str], None] = {}
        self._omitted = 0

    def error(self, line: int, path: KeyPath, why: str) -> None:
        """Note what stops the start."""
        if len(self._errors) >= MAXIMUM_LINES:
            self._omitted += 1
        else:
            self._errors[line, self._render(line, path, why)] = None

    def warn(self, line: int, path: KeyPath, why: str) -> None:
        """Note what the operator should know."""
        self._warnings[line, self._render(line, path, why)] = None

    @property
    def many(self) -> bool:
        """Whether hints are no longer worth the time they take."""
        return len(self._errors) > 50

    @property
    def errors(self) -> list[str]:
        """All errors in the order of the file."""
        lines = [text for _, text in sorted(self._errors)]
        if self._omitted:
            lines.append(f"{self._name}:1: and {self._omitted} further errors")
        return lines

    @property
    def warnings(self) -> list[str]:
        """All warnings in the order of the file."""
        return [text for _, text in sorted(self._warnings)]

    def _render(self, line: int, path: KeyPath, why: str) -> str:
        where = f"{render_path(path)}: " if path else ""
        return f"{self._name}:{line}: {where}{printable(why, 6000)}"
