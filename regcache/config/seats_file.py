"""Reads a file of seats, and finds everything that is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import Any, cast

from regcache.config import names
from regcache.config.document import Node, parse_document
from regcache.config.keys import section
from regcache.config.problems import Problems
from regcache.config.reading import INVALID, Context
from regcache.config.seat_settings import INHERITED, KeySettings, LimitSettings, SeatSettings
from regcache.htpasswd import is_account_name
from regcache.seats import DEFAULTS, RobotKey, Seat, Seats

#: Values in a file: some ten thousand seats.
MOST_VALUES = 200_000
_one_at_a_time = Lock()
_SEAT = section(SeatSettings)
_LIMITS = section(LimitSettings)


class SeatsError(ValueError):
    """The file cannot be used.

    :ivar lines: every problem, as ``file:line: name.key: why``, never with a secret.
    """

    def __init__(self, lines: list[str]) -> None:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        super().__init__(lines[0] + more)
        self.lines = lines


def read_seats(content: bytes, path: str) -> Seats:
    """The seats of a file.

    :raises SeatsError: with all that is wrong.
    """
    return parse_seats(decoded(content, path), path)


def decoded(content: bytes, path: str) -> str:
    """The text of a file.

    :raises SeatsError: if it is none.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise SeatsError([f"{path}:{line}: is not UTF-8"]) from None


def parse_seats(text: str, path: str) -> Seats:
    """The seats in a text. A thousand take a quarter of a second, so the last texts are known.

    Who asks for a text that another thread is reading waits for that: a file that has changed is
    looked at and asked for at once, and each would take twice as long.

    :param path: stands for the file in messages.
    :raises SeatsError: with all that is wrong.
    """
    with _one_at_a_time:
        return _known(text, path)


def parse_anew(text: str, path: str) -> Seats:
    """The same of a text that will not be asked for again: those that are known stay known."""
    problems = Problems(path)
    context = Context(problems, _AsItIs(), "/")
    root = parse_document(text, problems, most_values=MOST_VALUES)
    seats = _Reader(context).seats(root)
    if problems.errors:
        raise SeatsError(problems.errors)
    return seats


_known = lru_cache(maxsize=2)(parse_anew)


class _AsItIs(Mapping[str, str]):
    """No variable is expanded here: what looks like one stands for itself."""

    def __getitem__(self, name: str) -> str:
        return f"${{{name}}}"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Reader:
    """One reading of one file."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: Whose a secret is, and on which line, by what it is.
        self._taken: dict[tuple[str, str], tuple[str, int]] = {}

    def seats(self, root: Node) -> dict[str, Seat]:
        if root.kind in ("null", "bad"):
            return {}
        if root.kind != "mapping":
            self._context.problems.error(root.line, (), "must be names of seats, each with a colon")
            return {}
        shared = root.value.get(DEFAULTS)
        defaults = LimitSettings() if shared is None else _LIMITS.read(shared, self._context)
        found = {}
        for name, node in root.value.items():
            if name != DEFAULTS:
                seat = self._seat(name, node, root.key_lines[name])
                if seat is not None and defaults is not INVALID:
                    found[name] = _with_limits(seat[0], seat[1], defaults)
        return found

    def _seat(self, name: str, node: Node, line: int) -> tuple[Seat, SeatSettings] | None:
        if not _is_name(name):
            why = f"{name!r} cannot be the name of an account"
            self._context.problems.error(line, (), why)
            return None
        settings = _SEAT.read(node, self._context)
        if settings is INVALID:
            return None
        seat = _seat(name, settings)
        self._claim(seat)
        return seat, settings

    def _claim(self, seat: Seat) -> None:
        """What tells seats apart may be the secret of one alone."""
        told = [("host", seat.host or ""), ("knock", seat.knock or "")]
        told += [("certificates", each) for each in seat.certificates]
        for key, value in told:
            line = self._context.line(seat.name, key)
            owner, first = self._taken.setdefault((key, value), (seat.name, line))
            if value and (owner, first) != (seat.name, line):
                why = f"is the one of {owner}, on line {first}: each must be of one seat only"
                self._context.error((seat.name, key), why)


def _is_name(name: str) -> bool:
    try:
        return is_account_name(names.account(name))
    except ValueError:
        return False


def _seat(name: str, settings: SeatSettings) -> Seat:
    return Seat(
        name=name,
        password=settings.password,
        keys=tuple(map(_robot_key, settings.keys)),
        knock=settings.knock,
        certificates=settings.certificates,
        host=settings.host,
        until=settings.until,
        ended=settings.ended,
        upstreams=settings.upstreams,
        note=settings.note or "",
    )


def _robot_key(read: str | KeySettings) -> RobotKey:
    return read.robot_key if isinstance(read, KeySettings) else RobotKey(read)


def _with_limits(seat: Seat, own: LimitSettings, defaults: LimitSettings) -> Seat:
    def limit(name: str) -> int | None:
        said: Any = getattr(own, name)
        said = getattr(defaults, name) if said is INHERITED else said
        return None if said is INHERITED else cast(int | None, said)

    return replace(
        seat,
        daily=limit("daily"),
        monthly=limit("monthly"),
        rate=limit("rate"),
        downloads=limit("downloads"),
    )
