"""What the API does about seats: a part of the composition root."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from regcache.access.knocks import Knock
from regcache.admin.api import seat_calls
from regcache.admin.api.call_problems import (
    ChangedProblem,
    InvalidProblem,
    NotSetProblem,
    SeatExistsProblem,
    UnavailableProblem,
    UnknownSeatProblem,
    WrongSeatsProblem,
)
from regcache.admin.api.seat_calls import SeatChange
from regcache.admin.api.seat_kinds import NOTHING
from regcache.client_setup.located import Located, locate_registries
from regcache.client_setup.seat_guide import for_seat, seat_places, seat_urls
from regcache.client_setup.seat_page import SeatPaper, link_urls, seat_page
from regcache.client_setup.served import ServedHere
from regcache.config import access_settings
from regcache.config.client_facts import seat_client
from regcache.config.seats_file import SeatsError
from regcache.config.seats_text import REMOVED, ItemAdded, SeatValueError
from regcache.engine import Engine
from regcache.htpasswd import LONGEST_PASSWORD
from regcache.in_force import CurrentConfiguration
from regcache.light_dataclass import dataclass
from regcache.new_secrets import (
    bcrypt_of,
    hash_of,
    new_key,
    new_label,
    new_link_secret,
    new_password,
)
from regcache.own_authority import (
    AuthorityError,
    IssuedCertificate,
    issue_certificate,
    load_or_make_authority,
)
from regcache.seat_edits import OtherSeatsError, SeatEdits
from regcache.seats import HASH_PREFIX, Seat, Seats
from regcache.store.pool import handed_over
from regcache.times import time_text

#: Limits, of which null is a value: none.
_LIMITS = frozenset({"daily", "monthly", "rate", "downloads"})


@dataclass(slots=True, kw_only=True)
class _Making:
    """What one call changes, and the secrets that it has made.

    :ivar changes: of the file.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    password: str = ""
    key: str = ""
    label: str = ""
    link: str = ""
    certificate: IssuedCertificate | None = None


class SeatAdmin:
    """See :class:`regcache.admin.api.seat_calls.SeatService`.

    :param served: gives what clients have to know of the configuration in force.
    :param authority: the folder of our own authority.
    """

    def __init__(
        self,
        engine: Engine,
        current: CurrentConfiguration,
        served: "Callable[[], Deferred[ServedHere]]",
        authority: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._current = current
        self._served = served
        self._authority = authority
        self._edits = SeatEdits(self._path)
        self._turn = DeferredLock()

    @property
    def _settings(self) -> access_settings.AccessSettings:
        return self._current.in_force.config.access

    def _path(self) -> str:
        path = self._settings.seats
        if path is None:
            raise NotSetProblem(
                "there are no seats: set access.seats", params={"key": "access.seats"}
            )
        return path

    def _seats(self) -> Seats:
        access = self._current.in_force.access
        return {} if access is None else access.access.accounts.seats

    async def listed(self) -> tuple[str, list[dict[str, Any]]]:
        """The version of the file, and all its seats.

        Where it cannot be used they are those in force, of no version that could be changed.
        """
        self._path()
        version, seats = await self._engine.disk_pool.run(self._present)
        if seats is None:
            seats = self._seats()
        knocks = defaultdict(list)
        for knock in self._engine.short_lived.knocks.all():
            knocks[knock.account].append(knock)
        return version, [self._told(seats[name], knocks[name]) for name in sorted(seats)]

    def _present(self) -> tuple[str, Seats | None]:
        """In a thread."""
        try:
            return self._edits.present()
        except (OSError, SeatsError):
            return "", None

    async def change(self, change: SeatChange) -> dict[str, Any]:
        """Change a seat, or add one."""
        self._assert_possible(change)
        await self._turn.acquire()
        try:
            created = change.name not in self._seats()
            _assert_there(change, created)
            making = await self._make(change)
        except BaseException:
            self._turn.release()
            raise
        # The write cannot be taken back, so it comes into force even if the client has left.
        writing: Deferred[None] = Deferred.fromCoroutine(self._write_in_turn(change, making))
        await handed_over(writing)
        return await self._answer(change.name, making, created)

    def _assert_possible(self, change: SeatChange) -> None:
        self._path()
        if seat_calls.LINK in change.make and self._settings.knock is None:
            why = "there are no links: set access.knock, for instance to 24h"
            raise NotSetProblem(why, params={"key": "access.knock"})

    async def _make(self, change: SeatChange) -> _Making:
        """Make what is wanted anew."""
        making, pool = _Making(), self._engine.password_pool
        given = {key: value for key, value in change.values.items() if key != "password"}
        now = self._engine.reactor.seconds()
        making.changes.update({key: _file_value(key, value, now) for key, value in given.items()})
        password = change.values.get("password")
        if seat_calls.PASSWORD in change.make:
            password = making.password = new_password()
        if password is NOTHING:
            making.changes["password"] = REMOVED
        elif password is not None:
            if len(password.encode()) > LONGEST_PASSWORD:
                raise InvalidProblem("password", f"it has more than {LONGEST_PASSWORD} bytes")
            making.changes["password"] = await pool.run(bcrypt_of, password)
        if seat_calls.CERTIFICATE in change.make:
            making.certificate = await self._engine.disk_pool.run(self._issue, change)
            added = ItemAdded(HASH_PREFIX + making.certificate.fingerprint)
            making.changes["certificates"] = added
        self._make_quick_ones(change, making)
        return making

    def _make_quick_ones(self, change: SeatChange, making: _Making) -> None:
        if seat_calls.KEY in change.make:
            making.key = new_key()
            entry = {"key": hash_of(making.key), "name": change.key_name, "until": change.key_until}
            making.changes["keys"] = ItemAdded(_key_entry(entry))
        if seat_calls.HOST in change.make:
            making.label = making.changes["host"] = new_label()
        if seat_calls.LINK in change.make:
            making.link = new_link_secret()
            making.changes["knock"] = hash_of(making.link)

    def _issue(self, change: SeatChange) -> IssuedCertificate:
        """In a thread."""
        try:
            authority = load_or_make_authority(self._authority())
        except AuthorityError as error:
            raise UnavailableProblem(f"no certificate can be issued: {error}") from None
        return issue_certificate(authority, change.name, change.days)

    async def _write_in_turn(self, change: SeatChange, making: _Making) -> None:
        try:
            await self._write(change, making)
        finally:
            self._turn.release()

    async def _write(self, change: SeatChange, making: _Making) -> None:
        """Have the change in the file, and in force."""
        writing = self._engine.disk_pool.run(
            self._edits.change, change.name, making.changes, change.versions
        )
        try:
            await writing
        except OtherSeatsError:
            raise ChangedProblem("the seats were changed meanwhile: look at them again") from None
        except SeatValueError as error:
            raise InvalidProblem(error.field, error.reason) from None
        except SeatsError as error:
            raise WrongSeatsProblem(str(error), params={"errors": error.lines}) from None
        except OSError as error:
            why = f"{self._path()} cannot be written: {error.strerror}"
            raise UnavailableProblem(why) from None
        if "ended" in making.changes or "knock" in making.changes:
            self._engine.short_lived.knocks.forget(change.name)
        access = self._current.in_force.access
        for watcher in () if access is None else access.watchers:
            await watcher.look()

    async def _answer(self, name: str, making: _Making, created: bool) -> dict[str, Any]:
        seat = self._seats().get(name)
        if seat is None:
            raise UnavailableProblem("the seat is written, and not in force yet: look again")
        served = for_seat(await self._served(), seat_client(self._settings, seat))
        located = locate_registries(served)
        issued = making.certificate
        paper = SeatPaper(
            name,
            list(_facts(seat)),
            password=making.password,
            key=making.key,
            label=making.label,
            link=making.link,
            certificate=issued.certificate if issued else "",
            certificate_key=issued.key if issued else "",
        )
        return {
            "seat": self._told(seat, self._engine.short_lived.knocks.of_seat(name)),
            "created": created,
            "page": seat_page(paper, located),
            "warnings": list(_warnings(making, located)),
            **_secrets(making, located),
        }

    def _told(self, seat: Seat, knocks: Sequence[Knock]) -> dict[str, Any]:
        used = self._engine.metering.book.used(seat.name)
        return {
            **_told(seat, self._engine.reactor.seconds()),
            "used": {"daily_bytes": used.day, "monthly_bytes": used.month},
            "left": {
                "daily_bytes": _left(seat.daily, used.day),
                "monthly_bytes": _left(seat.monthly, used.month),
            },
            "addresses": [
                {"address": each.place, "until": time_text(each.until)} for each in knocks
            ],
        }


def _told(seat: Seat, now: float) -> dict[str, Any]:
    """What the file says of a seat, as the API has it.

    :param now: Unix seconds.
    """
    return {
        "name": seat.name,
        "password": seat.password is not None,
        "keys": [
            {
                "key": HASH_PREFIX + each.digest,
                "name": each.name,
                "until": each.until and each.until.isoformat(),
            }
            for each in seat.keys
        ],
        "knock": seat.knock is not None,
        "certificates": [HASH_PREFIX + each for each in seat.certificates],
        "host": seat.host is not None,
        "until": seat.until and seat.until.isoformat(),
        "ended": None if seat.ended is None else time_text(seat.ended.timestamp()),
        "has_ended": seat.has_ended(now),
        "daily": seat.daily,
        "monthly": seat.monthly,
        "rate": seat.rate,
        "downloads": seat.downloads,
        "upstreams": None if seat.upstreams is None else list(seat.upstreams),
        "note": seat.note,
    }


def _assert_there(change: SeatChange, created: bool) -> None:
    if change.new is True and not created:
        raise SeatExistsProblem(f"there is a seat {change.name} already")
    if change.new is False and created:
        raise UnknownSeatProblem(f"there is no seat {change.name}")


def _file_value(key: str, value: Any, now: float) -> Any:
    """A value of the API as the file has it.

    :param now: Unix seconds.
    """
    if value is NOTHING:
        return None if key in _LIMITS else REMOVED
    if key == "ended":
        return time_text(now)
    if key == "keys":
        return [_key_entry(each) for each in value]
    return value


def _key_entry(given: Mapping[str, Any]) -> Any:
    entry = {name: value for name, value in given.items() if value}
    return entry if len(entry) > 1 else entry["key"]


def _left(quota: int | None, used: int) -> int | None:
    return None if quota is None else max(0, quota - used)


def _facts(seat: Seat) -> Sequence[str]:
    """What its person should know of a seat."""
    limits = [
        (seat.daily, "at most {} a day"),
        (seat.monthly, "at most {} a month"),
        (seat.rate, "at most {} a second"),
    ]
    found = [words.format(_size(size)) for size, words in limits if size is not None]
    if seat.end_text:
        found.insert(0, f"until {seat.end_text}")
    if seat.downloads is not None:
        found.append(f"{seat.downloads} layers at once; further ones wait")
    if seat.upstreams is not None:
        found.append(f"for {', '.join(seat.upstreams)} alone")
    return found


def _size(count: int) -> str:
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.4g} {units[0]}"


def _secrets(making: _Making, located: Located) -> dict[str, Any]:
    """What was made, which is told once."""
    issued = making.certificate
    return {
        "password": making.password or None,
        "key": making.key or None,
        "certificate": None
        if issued is None
        else {
            "certificate": issued.certificate,
            "key": issued.key,
            "fingerprint": HASH_PREFIX + issued.fingerprint,
            "until": time_text(issued.until),
        },
        "host": {"label": making.label, "urls": seat_urls(located, making.label)}
        if making.label
        else None,
        "link": {"urls": link_urls(located, making.link)} if making.link else None,
    }


def _warnings(making: _Making, located: Located) -> Sequence[str]:
    found = []
    if making.certificate is not None and all(each.is_plain for each in located.places):
        found.append("no listener has TLS, so no client can show a certificate")
    if making.label and not seat_urls(located, making.label):
        found.append("the cache is known by an address alone: seats need a host name")
    if making.label and any(each.is_uncovered for each in seat_places(located, making.label)):
        found.append("no certificate covers the hosts of seats: they need a wildcard")
    if making.link and any(each.is_plain for each in located.places):
        found.append("the link goes over plain HTTP, where others can read it")
    return found
