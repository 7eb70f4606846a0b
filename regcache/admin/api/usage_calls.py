"""GET usage: who used how much, of which upstream, on which day or in which month."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any

from regcache.admin.api.call_problems import (
    ForbiddenProblem,
    InvalidProblem,
    UnavailableProblem,
)
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallAnswer, CallRoute, encode_json
from regcache.admin.api.kinds import Choice, Day, Parameter, Text
from regcache.admin.api.schemas import COUNT, DAY, TEXT, array, nullable, record, words
from regcache.light_dataclass import dataclass
from regcache.local_days import first_of_month, last_of_month
from regcache.usage import (
    ADDRESS_CLASSES,
    TooManyRowsError,
    UsageQuestion,
    UsageRow,
    usage_csv,
)

#: Rows of one answer: those of a month of days of 1,000 accounts, or of ten years of one.
MOST_ROWS = 50_000
DAYS, MONTHS = "day", "month"
CSV_TYPE = "text/csv; charset=utf-8"

GET_USAGE = ApiCall(
    method="GET",
    path="usage",
    role=Role.READ,
    text="Who used how much, by day of local time, account and upstream. Without from and to it is "
    "this month. An account sees its own; administrators, and who asks on this machine, all.",
    parameters=(
        Parameter("account", Text(256, 1), "An account; anonymous for those who have none."),
        Parameter("upstream", Text(256), "An upstream; empty for what concerns none."),
        Parameter("from", Day(), "The first day."),
        Parameter("to", Day(), "The last day."),
        Parameter(
            "group", Choice((DAYS, MONTHS)), "By month: day is the first of it.", default=DAYS
        ),
        Parameter("format", Choice(("json", "csv")), default="json"),
    ),
    answer=record(
        items=array(
            record(
                day=DAY,
                account=TEXT,
                address_class=nullable(words(*ADDRESS_CLASSES)),
                upstream=nullable(TEXT),
                requests=COUNT,
                pulls=COUNT,
                served_bytes=COUNT,
                fetched_bytes=COUNT,
                refused=COUNT,
            )
        ),
        next=nullable(TEXT),
    ),
    other_types=(CSV_TYPE,),
)
#: All of them.
CALLS = (GET_USAGE,)


@dataclass(frozen=True, slots=True)
class UsageSources:
    """Where the call finds what it tells.

    :ivar rows: fails with OSError, or with TooManyRowsError.
    :ivar today: the day of local time.
    """

    rows: Callable[[UsageQuestion, int], Awaitable[Sequence[UsageRow]]]
    today: Callable[[], date]


def usage_routes(sources: UsageSources) -> list[CallRoute]:
    """The call."""
    return [CallRoute(GET_USAGE, lambda asked: _usage(asked, sources))]


async def _usage(asked: AskedCall, sources: UsageSources) -> CallAnswer:
    question = _question(asked, sources.today())
    try:
        rows = await sources.rows(question, MOST_ROWS)
    except OSError:
        raise UnavailableProblem("what was counted cannot be read") from None
    except TooManyRowsError:
        raise InvalidProblem(
            "from",
            f"there are more than {MOST_ROWS} rows: ask for fewer days, one account or "
            "upstream, or group=month",
        ) from None
    if asked.values["format"] == "json":
        return CallAnswer(rows, encode=_json)
    name = f"usage-{question.first}-{question.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return CallAnswer(rows, headers, encode=_csv, media_type=CSV_TYPE)


def _question(asked: AskedCall, today: date) -> UsageQuestion:
    values = asked.values
    first, last = values["from"], values["to"]
    if first is None:
        first = first_of_month(today if last is None else last)
    if last is None:
        last = max(first, today)
    if last < first:
        raise InvalidProblem("to", "it is before from")
    by_month = values["group"] == MONTHS
    if by_month and last >= today:
        last = last_of_month(last)  # there is nothing behind today
    return UsageQuestion(
        first=first,
        last=last,
        account=_account(asked.caller, values["account"]),
        upstream=values["upstream"],
        by_month=by_month,
    )


def _account(caller: Caller, wanted: str | None) -> str | None:
    if caller.sees_accounts:
        return wanted
    if wanted not in (None, caller.account):
        raise ForbiddenProblem("an account sees its own usage")
    return caller.account


def items(rows: Sequence[UsageRow]) -> list[dict[str, Any]]:
    """Rows as the API tells them."""
    return [
        {
            "day": key.day.isoformat(),
            "account": key.account,
            "address_class": key.address_class or None,
            "upstream": key.upstream or None,
            "requests": usage.requests,
            "pulls": usage.pulls,
            "served_bytes": usage.served,
            "fetched_bytes": usage.fetched,
            "refused": usage.refused,
        }
        for key, usage in rows
    ]


def _json(rows: Sequence[UsageRow]) -> bytes:
    return encode_json({"items": items(rows), "next": None})


def _csv(rows: Sequence[UsageRow]) -> bytes:
    return usage_csv(items(rows)).encode("utf-8")
