"""Keys that are accepted, but whose feature is not there yet.

A key that restricts must never be accepted without being enforced: a start that sets one is
refused. Any other one is accepted with a warning. Whoever builds the feature deletes its row.
"""

from dataclasses import dataclass

from regcache.config.problems import KeyPath
from regcache.config.schema import INVALID, Context, Setting


@dataclass(frozen=True, slots=True)
class Missing:
    """A feature that is missing.

    :ivar key: the key's path; ``*`` stands for any one name or number.
    :ivar restricts: whether somebody relies on it to keep others out.
    """

    key: tuple[str, ...]
    restricts: bool = False


def _restricting(*keys: str) -> list[Missing]:
    return [Missing(tuple(key.split(".")), True) for key in keys]


def _other(*keys: str) -> list[Missing]:
    return [Missing(tuple(key.split("."))) for key in keys]


MISSING: list[Missing] = [
    *_restricting(
        "access.htpasswd",
        "access.admins",
        "access.rules",
        "access.token",
        "admin.hosts",
        "limits.connections",
        "limits.connections_per_address",
    ),
    # Eviction.
    *_other("storage.unused_for", "storage.sweep", "storage.purge"),
    # Operators and browsers.
    *_other(
        "admin.socket",
        "admin.metrics_endpoint",
        "access.realm",
        "cors_origins",
        "ui.title",
    ),
]


def enforce(context: Context) -> None:
    """Refuse or warn of every key that is set and whose feature is missing."""
    for path, setting in list(context.settings.items()):
        row = next((row for row in MISSING if _matches(row.key, path)), None)
        if row is None or _is_off(setting):
            continue
        if row.restricts:
            context.error(path, "is not enforced by this version yet, so it is refused")
        else:
            context.warn(path, "is not in effect yet")


def hidden_keys() -> set[tuple[str, ...]]:
    """Keys with a default that cannot be written out, because writing them is refused."""
    return {row.key for row in MISSING if row.restricts}


def _matches(key: tuple[str, ...], path: KeyPath) -> bool:
    return len(key) == len(path) and all(
        wanted in ("*", part) for wanted, part in zip(key, path, strict=True)
    )


def _is_off(setting: Setting) -> bool:
    """Whether the value asks for nothing."""
    value = setting.value
    return value is INVALID or value is None or value is False or value == ()
