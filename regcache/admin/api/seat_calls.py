"""The calls about seats: accounts with limits."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any, Protocol

from regcache.admin.api.callers import Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallAnswer, CallRoute
from regcache.admin.api.kinds import ArrayOf, Choice, Fields, Flag, Integer, Parameter, Text
from regcache.admin.api.schemas import COUNT, FLAG, TEXT, TIME, array, nullable, record
from regcache.admin.api.seat_kinds import DayValue, OrNothing, SizeValue
from regcache.htpasswd import LONGEST_PASSWORD
from regcache.light_dataclass import dataclass

_LONGEST_NAME = 255
PASSWORD, KEY, CERTIFICATE, HOST, LINK = "password", "key", "certificate", "host", "link"
MADE = (PASSWORD, KEY, CERTIFICATE, HOST, LINK)
#: For how long a certificate is good where nothing else is asked (days).
CERTIFICATE_DAYS, MOST_DAYS = 1096, 7300

_BYTES = nullable(COUNT)
_SHARE = record(daily_bytes=_BYTES, monthly_bytes=_BYTES)
SEAT = record(
    name=TEXT,
    password=FLAG,
    keys=array(record(key=TEXT, name=TEXT, until=nullable(TEXT))),
    knock=FLAG,
    certificates=array(TEXT),
    host=FLAG,
    until=nullable(TEXT),
    ended=nullable(TIME),
    has_ended=FLAG,
    daily=_BYTES,
    monthly=_BYTES,
    rate=_BYTES,
    downloads=_BYTES,
    upstreams=nullable(array(TEXT)),
    note=TEXT,
    used=_SHARE,
    left=_SHARE,
    addresses=array(record(address=TEXT, until=TIME)),
)
_MADE = record(
    seat=SEAT,
    created=FLAG,
    page=TEXT,
    password=nullable(TEXT),
    key=nullable(TEXT),
    certificate=nullable(record(certificate=TEXT, key=TEXT, fingerprint=TEXT, until=TIME)),
    host=nullable(record(label=TEXT, urls=array(TEXT))),
    link=nullable(record(urls=array(TEXT))),
    warnings=array(TEXT),
)
_NAME = Parameter("name", Text(_LONGEST_NAME, 1), "Of the account.", required=True)
_ONCE = " Its secrets are in this answer alone; `page` is a text for the person."

_KEY = Fields(
    (
        Parameter("key", Text(71, 71), "`sha256:` and the hash of the key.", required=True),
        Parameter("name", Text(100), "What it is for.", default=""),
        Parameter("until", DayValue(), "Its last day."),
    )
)
#: What a seat has, as in its file: null takes a thing away, and what is absent stays.
VALUES = (
    Parameter("until", OrNothing(DayValue()), "Its last day."),
    Parameter("ended", OrNothing(Choice(("now",))), "Ends it now; null takes that back."),
    Parameter("daily", OrNothing(SizeValue()), "Bytes a day; null for no limit."),
    Parameter("monthly", OrNothing(SizeValue()), "Bytes a month; null for no limit."),
    Parameter("rate", OrNothing(SizeValue()), "Bytes a second; null for no limit."),
    Parameter("downloads", OrNothing(Integer(1, 10_000)), "Blobs at once; null for no limit."),
    Parameter("upstreams", OrNothing(ArrayOf(Text(300, 1), 100)), "The only ones; null for all."),
    Parameter("note", OrNothing(Text(1000)), "A note for administrators."),
    Parameter("keys", ArrayOf(_KEY, 1000), "Its robot keys: those that are to stay."),
    Parameter("certificates", ArrayOf(Text(71, 71), 1000), "Fingerprints: those that are to stay."),
    Parameter("host", OrNothing(Text(40, 6)), "The label of its host."),
    Parameter("knock", OrNothing(Text(71, 71)), "The hash of its link's secret."),
    Parameter("password", OrNothing(Text(LONGEST_PASSWORD, 1)), "Its password itself."),
)
GET_SEATS = ApiCall(
    method="GET",
    path="seats",
    role=Role.ADMIN,
    text="All seats, by name, with what they were served today and this month, and what is left. "
    "Changes may name the ETag (If-Match).",
    answer=record(items=array(SEAT), next=nullable(TEXT), total=COUNT),
)
POST_SEATS = ApiCall(
    method="POST",
    path="seats",
    role=Role.ADMIN,
    text="Adds a seat, or changes one: fields as in the file of seats, and what is to be made anew."
    + _ONCE,
    parameters=(
        _NAME,
        *VALUES,
        Parameter("make", ArrayOf(Choice(MADE), len(MADE)), "What is made anew."),
        Parameter("days", Integer(1, MOST_DAYS), "A certificate's life.", default=CERTIFICATE_DAYS),
        Parameter("key_name", Text(100), "What a new key is for.", default=""),
        Parameter("key_until", DayValue(), "The last day of a new key."),
        Parameter("new", Flag(), "Whether it has to be a new seat, or one that is there."),
    ),
    answer=_MADE,
)


def _making(what: str, text: str, *more: Parameter) -> ApiCall:
    return ApiCall(
        method="POST",
        path=f"seats/{what}",
        role=Role.ADMIN,
        text=text + _ONCE,
        parameters=(_NAME, *more),
        answer=_MADE,
    )


END_SEAT = ApiCall(
    method="POST",
    path="seats/end",
    role=Role.ADMIN,
    text="Ends a seat now. Its tokens, keys, certificates and addresses are nobody's at once.",
    parameters=(_NAME,),
    answer=_MADE,
)
SEAT_KEY = _making(
    KEY,
    "Adds a robot key to a seat.",
    Parameter("key_name", Text(100), "What it is for.", default=""),
    Parameter("key_until", DayValue(), "Its last day."),
)
SEAT_CERTIFICATE = _making(
    CERTIFICATE,
    "Issues a client certificate to a seat, by the cache's own authority.",
    Parameter("days", Integer(1, MOST_DAYS), "Its life.", default=CERTIFICATE_DAYS),
)
SEAT_HOST = _making(HOST, "Gives a seat a host name of its own, for pulls; a former one ends.")
SEAT_LINK = _making(LINK, "Gives a seat a link that lets an address pull; a former one ends.")
#: All of them.
CALLS = (
    GET_SEATS, POST_SEATS, END_SEAT, SEAT_KEY, SEAT_CERTIFICATE, SEAT_HOST, SEAT_LINK,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeatChange:
    """What is to become of a seat.

    :ivar values: by key; ``NOTHING`` takes a thing away.
    :ivar make: what is made anew, of :data:`MADE`.
    :ivar versions: of the file, of which one has to be the present one; empty for any.
    :ivar new: whether it has to be a new one (True), one that is there (False), or either.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    make: Sequence[str] = ()
    days: int = CERTIFICATE_DAYS
    key_name: str = ""
    key_until: str | None = None
    versions: Sequence[str] = ()
    new: bool | None = None


class SeatService(Protocol):
    """Knows and changes seats. What it gives is plain JSON."""

    async def listed(self) -> tuple[str, list[dict[str, Any]]]:
        """The version of the file, and all seats."""

    async def change(self, change: SeatChange) -> dict[str, Any]:
        """Change a seat.

        :raises Problem: if it cannot be.
        """


def seat_routes(seats: SeatService) -> list[CallRoute]:
    """The calls."""

    async def listed(asked: AskedCall) -> CallAnswer:
        version, items = await seats.listed()
        return CallAnswer({"items": items, "next": None, "total": len(items)}, version=version)

    async def change(asked: AskedCall) -> dict[str, Any]:
        given = asked.values
        values = {each.name: given[each.name] for each in VALUES if given[each.name] is not None}
        return await seats.change(
            SeatChange(
                given["name"],
                values,
                make=given["make"] or (),
                days=given["days"],
                key_name=given["key_name"],
                key_until=given["key_until"],
                versions=_versions(asked),
                new=given["new"],
            )
        )

    async def end(asked: AskedCall) -> dict[str, Any]:
        values = {"ended": "now"}
        change = SeatChange(asked.values["name"], values, versions=_versions(asked), new=False)
        return await seats.change(change)

    routes = [CallRoute(GET_SEATS, listed), CallRoute(POST_SEATS, change), CallRoute(END_SEAT, end)]
    for call in (SEAT_KEY, SEAT_CERTIFICATE, SEAT_HOST, SEAT_LINK):
        routes.append(_maker(call, seats))
    return routes


def _maker(call: ApiCall, seats: SeatService) -> CallRoute:
    what = call.path.rpartition("/")[2]

    async def make(asked: AskedCall) -> dict[str, Any]:
        given = dict(asked.values)
        change = SeatChange(
            given.pop("name"), make=(what,), versions=_versions(asked), new=False, **given
        )
        return await seats.change(change)

    return CallRoute(call, make)


def _versions(asked: AskedCall) -> list[str]:
    """Of the file, as If-Match names them (RFC 9110, 13.1.1); none for any."""
    lines = asked.request.field_lines(b"if-match")
    # A line that names nothing, as of a script that did not get the tag, is no leave for any.
    named = [each.strip().removeprefix("W/").strip('"') for each in ",".join(lines).split(",")]
    return [] if not lines or "*" in named else [each.partition(".")[0] for each in named]
