"""The keys of ``storage``."""

from typing import Literal

from regcache.config.files import path
from regcache.config.keys import key_field
from regcache.config.scalars import choice, cron, duration, schedule, size, size_or_share, text_like
from regcache.config.value_types import ListOf, Nullable, ValueType
from regcache.config.values import DAY, GIB, HOUR, Cron, Size
from regcache.facts import AtMostATenth, Percentage
from regcache.light_dataclass import dataclass
from regcache.pins import check_pattern

_SIZE: ValueType[Size] = size_or_share()
_SWEEP: ValueType[float | Cron] = schedule(1.0, 366 * DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The cache directory and its bounds."""

    directory: str = key_field(
        path(),
        "Where the cache is. One running daemon per directory.",
        default="/var/lib/regcache",
        example="/srv/regcache",
        restart=True,
    )
    max_size: Size = key_field(
        _SIZE,
        "The largest size of the cache: a share of the file system, or a size. What would exceed "
        "it waits until the least used content is evicted.",
        default=Percentage(80.0),
        example="50GiB",
    )
    max_blob: Size = key_field(
        _SIZE,
        "The largest blob that is stored: a share of `max_size`, or a size. Larger ones are "
        "passed through.",
        default=Percentage(25.0),
        example="10GiB",
    )
    min_free: int = key_field(
        size(),
        "How much stays free on the file system. If it is not set it is at most a tenth of the "
        "file system.",
        default=AtMostATenth(2 * GIB),
        example="10GiB",
    )
    unused_for: float | None = key_field(
        Nullable(duration(60.0)),
        "Content that was not used in this time is removed. `null`: age alone removes nothing.",
        default=30 * DAY,
        example="2d",
    )
    sweep: float | Cron = key_field(
        _SWEEP,
        "How often, or when (a cron line, local time), the cache is searched for such content.",
        default=HOUR,
        example='"0 4 */2 * *"',
    )
    purge: Cron | None = key_field(
        Nullable(cron()),
        "When the whole cache is emptied, except for pins: a cron line, local time.",
        default=None,
        example='"0 4 1 * *"',
    )
    pin: tuple[str, ...] = key_field(
        ListOf(text_like(check_pattern, "pattern")),
        "Tags that are never evicted, besides those pinned by hand, as "
        "`<upstream>/<repository>:<tag>`, with `*` and `?`.",
        default=(),
        example='["docker.io/library/alpine:*"]',
    )
    verify_on_read: Literal["small", "all", "none"] = key_field(
        choice("small", "all", "none"),
        "Which content is hashed when it is read, the first time and then once a day: blobs up to "
        "1 MiB, before they are sent; `all`: larger ones too, while they are sent; `none`: only "
        "content that is read into memory. The size is always checked.",
        default="small",
        example="all",
    )
    scrub: float | None = key_field(
        Nullable(duration(HOUR, 10 * 366 * DAY)),
        "All stored content is hashed once in this time, at idle priority. `null`: never.",
        default=30 * DAY,
        example="7d",
    )
    finish: int | None = key_field(
        Nullable(size()),
        "A download without clients goes on if at most this is missing. `null`: it always goes on.",
        default=GIB,
        example="null",
    )
