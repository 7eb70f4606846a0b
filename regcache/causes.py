"""Why an answer is not what was hoped for: a code that pages put into words.

It is noted where the fact is known.

The codes are those of the verdicts of the admin API (docs/api.md).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Cause(NamedTuple):
    """One reason.

    :ivar code: e.g. ``failed.limited``.
    :ivar params: what the words for it need, as plain JSON.
    """

    code: str
    params: Mapping[str, Any] = {}


PRIVATE = Cause("denied.private")
#: The upstream refuses us; nothing here does.
REFUSED = Cause("denied.upstream")
NOT_FOUND = Cause("failed.not_found")
DOWN = Cause("failed.down")
DIGEST = Cause("failed.digest")
STALE_DEADLINE = Cause("stale.deadline")
STALE_DOWN = Cause("stale.down")
STALE_LIMITED = Cause("stale.limited")
TOO_BIG = Cause("relay.too_big")
FULL = Cause("relay.full")


def forbidden(key: str) -> Cause:
    """A rule here forbids it.

    :param key: of the configuration.
    """
    return Cause("denied.rule", {"key": key})


def limited(seconds: int) -> Cause:
    """The upstream limits the rate, for so long."""
    return Cause("failed.limited", {"seconds": seconds})


def over_quota(name: str, seconds: int) -> Cause:
    """The account has used up a quota, for so long.

    :param name: ``daily`` or ``monthly``.
    """
    return Cause("denied.quota", {"quota": name, "seconds": seconds})
