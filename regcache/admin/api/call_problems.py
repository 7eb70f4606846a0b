"""What calls of the API refuse with. The table is in docs/api.md."""

from regcache.web.problem_details import Problem


class InvalidProblem(Problem):
    """A parameter is missing, unknown, or has a value that it cannot have.

    :param field: which one, e.g. ``targets[0].name``; "" for the body as a whole.
    """

    status, code = 400, "INVALID"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why, params={"field": field})


class UnauthenticatedProblem(Problem):
    """An account, or a session, is needed; or the credentials are wrong."""

    status, code = 401, "UNAUTHENTICATED"


class ForbiddenProblem(Problem):
    """The caller is known, and may not do it."""

    status, code = 403, "FORBIDDEN"


class ForeignPageProblem(Problem):
    """A page of another site may have made the browser send this."""

    status, code = 403, "FOREIGN_PAGE"


class UnknownCallProblem(Problem):
    """There is no such call."""

    status, code = 404, "UNKNOWN_CALL"


class NotCachedProblem(Problem):
    """The cache has no such thing, or nothing that may be seen."""

    status, code = 404, "NOT_CACHED"


class UnknownUpstreamProblem(Problem):
    """No upstream has this name.

    :param name: which one; it is in the params, too.
    """

    status, code = 404, "UNKNOWN_UPSTREAM"

    def __init__(self, name: str) -> None:
        super().__init__(f"no upstream is named {name}", params={"name": name})


class UnknownSeatProblem(Problem):
    """No seat has this name."""

    status, code = 404, "UNKNOWN_SEAT"


class MethodProblem(Problem):
    """The call takes another method."""

    status, code = 405, "METHOD"


class JobRunningProblem(Problem):
    """Such a job runs already, or too many jobs do."""

    status, code = 409, "JOB_RUNNING"


class SeatExistsProblem(Problem):
    """A seat has this name already."""

    status, code = 409, "SEAT_EXISTS"


class NotSetProblem(Problem):
    """A key of the configuration has to be set for that; the params have it."""

    status, code = 409, "NOT_SET"


class PinnedProblem(Problem):
    """All that is meant is pinned."""

    status, code = 409, "PINNED"


class PlanChangedProblem(Problem):
    """It would remove more than was shown; the new plan is in the params."""

    status, code = 409, "PLAN_CHANGED"


class PlanExpiredProblem(Problem):
    """There is no such plan any more."""

    status, code = 410, "PLAN_EXPIRED"


class CursorProblem(Problem):
    """The cursor belongs to another list, or to an earlier run of the daemon."""

    status, code = 410, "CURSOR"


class ChangedProblem(Problem):
    """It was changed since it was read: If-Match names another version."""

    status, code = 412, "CHANGED"


class EncodedProblem(Problem):
    """The body has a Content-Encoding, as gzip: it is taken as it is alone."""

    status, code = 415, "ENCODED"


class WrongSeatsProblem(Problem):
    """The file of seats is wrong, or would be: the params have the errors, with their lines."""

    status, code = 422, "WRONG_SEATS"


class WrongConfigProblem(Problem):
    """The configuration file is wrong: the params have the errors, as check-config has them."""

    status, code = 422, "WRONG_CONFIG"


class TooManyLoginsProblem(Problem):
    """Too many wrong logins came from this address."""

    status, code = 429, "TOO_MANY_LOGINS"


class UpstreamProblem(Problem):
    """The upstream does not answer, or refuses it."""

    status, code = 502, "UPSTREAM"


class InternalProblem(Problem):
    """A fault of the daemon; the log has more under ``request_id``."""

    status, code = 500, "INTERNAL"


class IndexBusyProblem(Problem):
    """The index cannot answer; or ``reason`` in the params is disk_full, or read_only."""

    status, code = 503, "INDEX_BUSY"


class UnavailableProblem(Problem):
    """Too much is to be done now, or it takes too long."""

    status, code = 503, "UNAVAILABLE"


#: All of them, for docs/api.md and openapi.json.
PROBLEMS: tuple[type[Problem], ...] = (
    InvalidProblem,
    UnauthenticatedProblem,
    ForbiddenProblem,
    ForeignPageProblem,
    UnknownCallProblem,
    NotCachedProblem,
    UnknownUpstreamProblem,
    UnknownSeatProblem,
    MethodProblem,
    JobRunningProblem,
    PinnedProblem,
    SeatExistsProblem,
    NotSetProblem,
    PlanChangedProblem,
    CursorProblem,
    PlanExpiredProblem,
    ChangedProblem,
    EncodedProblem,
    WrongConfigProblem,
    WrongSeatsProblem,
    TooManyLoginsProblem,
    InternalProblem,
    UpstreamProblem,
    IndexBusyProblem,
    UnavailableProblem,
)
