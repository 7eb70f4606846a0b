"""The keys of ``notify``."""

from regcache.config import names
from regcache.config.keys import key_field
from regcache.config.scalars import choice, text_like
from regcache.config.value_types import ListOf, Nullable
from regcache.light_dataclass import dataclass

#: All that may be told of.
EVENTS = ("disk", "credentials", "certificate", "upstream_down", "corruption", "quota")


@dataclass(frozen=True, slots=True)
class NotifyKeys:
    """Whom to tell what happens."""

    url: str | None = key_field(
        Nullable(text_like(names.webhook, "URL", names.write_webhook)),
        "The URL to which notifications are posted as JSON; see docs/operations.md. It may have a "
        "token: it is never shown or logged whole.",
        default=None,
        example="https://hooks.example.com/T0KEN",
        secret=True,
    )
    on: tuple[str, ...] = key_field(
        ListOf(choice(*EVENTS), minimum=1, null_is_default=False, unique=True),
        "The events to report: `disk` (new content is not stored), `credentials` (an upstream "
        "refuses ours), "
        "`certificate` (it ends within 7 days), `upstream_down`, `corruption` (wrong bytes "
        "of an upstream, or on the disk), `quota` (a seat has used up one).",
        default=EVENTS,
        example="[disk, certificate]",
    )
