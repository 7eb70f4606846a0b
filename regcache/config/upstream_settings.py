"""What may be set of one upstream, and of each of its URLs."""

from dataclasses import KW_ONLY
from typing import Any, Literal

from regcache.config import names
from regcache.config.files import load_certificates, read_password, readable
from regcache.config.keys import Key, Section, key_field, keys_of, section
from regcache.config.scalars import (
    boolean,
    choice,
    duration,
    format_duration,
    glob,
    parse_duration,
    secret_text,
    text_like,
    whole_number,
)
from regcache.config.value_types import ByShape, ListOf, Nullable, Scalar
from regcache.config.values import HOUR, ProxyAddress
from regcache.light_dataclass import dataclass

DEFAULT_TAG_TTL = 300.0

_TIMEOUT = duration(0.1, HOUR)
_NAME = text_like(names.upstream_name, "name")
_URL = text_like(names.url, "URL")
_ProxyChoice = ProxyAddress | Literal["direct"]
_PROXY = Nullable[_ProxyChoice](text_like(names.proxy, "URL or `direct`", names.write_proxy))
_KNOWN = "known names: see below; else "


@dataclass(frozen=True, slots=True)
class UrlSettings:
    """One URL of an upstream, with all that belongs to it alone.

    :ivar url: without a slash at the end.
    :ivar password: with ``password_file``, what was in the file when it was loaded.
    :ivar token_hosts: as ``host`` or ``host:port``.
    """

    url: str = key_field(
        _URL,
        "`http` or `https`. A path is put before the repository.",
        example="https://registry-1.docker.io",
    )
    username: str | None = key_field(
        Nullable(text_like(names.account, "text")),
        "The account there. It needs `password` or `password_file` beside it.",
        default=None,
        example="me",
    )
    password: str | None = key_field(
        Nullable(secret_text()),
        "Its password, better written as `${NAME}`.",
        default=None,
        example="${HUB_PASSWORD}",
        secret=True,
    )
    _: KW_ONLY
    password_file: str | None = key_field(
        Nullable(readable(read_password)),
        "A file with its password: one line. The line break at its end does not count.",
        default=None,
        example="/etc/regcache/hub.password",
    )
    token_hosts: tuple[str, ...] = key_field(
        ListOf(text_like(names.host_and_port, "host"), unique=True),
        "Further hosts, or `host:port`, that may issue tokens. The host of the URL always may.",
        default=(),
        usually=f"{_KNOWN}`[]`",
        example="[auth.docker.io]",
    )
    ns: bool = key_field(
        boolean(),
        "Send `?ns=<name>`, because that URL is itself such a proxy.",
        default=False,
        example="true",
    )


@dataclass(frozen=True, slots=True)
class TagTTL:
    """How long tags that match a glob stay fresh."""

    match: str = key_field(glob(), "Which tags. The first that matches wins.", example='"*-rc*"')
    ttl: float = key_field(duration(), "How long these tags stay fresh.", example="1m")


def _one_ttl() -> Scalar[tuple[TagTTL, ...]]:
    def parse(node: Any, _context: Any) -> tuple[TagTTL, ...]:
        return (TagTTL("*", parse_duration(node, 0.0, 3650 * 24 * HOUR)),)

    return Scalar(parse, "duration")


def _write_ttls(ttls: tuple[TagTTL, ...]) -> Any:
    if len(ttls) == 1 and ttls[0].match == "*":
        return format_duration(ttls[0].ttl)
    return [section(TagTTL).write(each) for each in ttls]


def _write_url(url: UrlSettings) -> dict[str, Any]:
    written = section(UrlSettings).write(url)
    return written if url.password_file is None else written | {"password": None}


_URL_ENTRY = ByShape(
    Section(keys_of(UrlSettings), dict), _URL, _URL, "URL or section", put=_write_url
)
_TAG_TTLS = ByShape(
    _one_ttl(),
    ListOf(section(TagTTL), minimum=1),
    _one_ttl(),
    "duration, or list of sections",
    put=_write_ttls,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """One remote registry.

    :ivar proxy: None means what the environment says.
    """

    name: str
    hosts: tuple[str, ...] = key_field(
        ListOf(text_like(names.host_pattern, "host"), unique=True),
        "Host names that mean this upstream; `*.` wildcards are allowed.",
        default=(),
        usually="`[]`, or from `domain`",
        example="[docker.example.com]",
    )
    urls: tuple[UrlSettings, ...] = key_field(
        ListOf(_URL_ENTRY, minimum=1),
        "Tried in order. An entry is a URL, or a section with `url`, with credentials and "
        "`token_hosts` of its own, and with `ns`.",
        default=(),
        usually=f"{_KNOWN}required",
        example="[https://registry-1.docker.io, {url: https://mirror.example.com, ns: true}]",
    )
    aliases: tuple[str, ...] = key_field(
        ListOf(_NAME, unique=True),
        "Further names for it.",
        default=(),
        usually=f"{_KNOWN}`[]`",
        example="[index.docker.io]",
    )
    default_namespace: str | None = key_field(
        Nullable(text_like(names.namespace, "text")),
        "Put before the names of repositories that have one component.",
        default=None,
        usually="docker.io: `library`; else `null`",
        example="library",
    )
    serve_private: bool = key_field(
        boolean(),
        "Serve images that only the credentials can read. Without it they only raise the quota.",
        default=False,
        example="true",
    )
    tag_ttl: tuple[TagTTL, ...] = key_field(
        _TAG_TTLS,
        "How long a tag stays fresh; or a list by the patterns of tags, with `5m` where none "
        "matches.",
        default=(TagTTL("*", DEFAULT_TAG_TTL),),
        example='[{match: "*-rc*", ttl: 1m}, {match: "*", ttl: 1h}]',
    )
    negative_ttl: float = key_field(
        duration(), "How long 404, 401 and 403 are remembered.", default=10.0, example="1m"
    )
    stale_if_error: float | None = key_field(
        Nullable(duration()),
        "How old a cached tag may be that is served while the upstream fails. `null`: never "
        "too old.",
        default=None,
        example="7d",
    )
    on_missing: Literal["gone", "stale"] = key_field(
        choice("gone", "stale"),
        "How a cached tag is treated that the upstream no longer has: `stale` goes on serving it.",
        default="gone",
        example="stale",
    )
    deadline: float = key_field(
        duration(0.0, HOUR),
        "How long a client waits for the upstream to confirm a cached tag. After that it gets the "
        "tag as it is in the cache.",
        default=2.0,
        example="5s",
    )
    allow: tuple[str, ...] = key_field(
        ListOf(glob(), minimum=1, null_is_default=False),
        "The repositories that may be pulled, compared with `default_namespace` in front. "
        "Any other repository answers 404, and the upstream is never asked for it.",
        default=("*",),
        example='["library/*"]',
    )
    deny: tuple[str, ...] = key_field(
        ListOf(glob(), null_is_default=False),
        "The repositories that may not be pulled. It is stronger than `allow`.",
        default=(),
        example='["*/secret"]',
    )
    proxy: ProxyAddress | Literal["direct"] | None = key_field(
        _PROXY,
        "An outgoing HTTP proxy, which has to allow CONNECT to the port of the upstream. "
        "`direct`: none. `null`: that of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in capitals "
        "or not, and none for this machine itself.",
        default=None,
        example="http://user:pass@host:3128",
    )
    ca_file: str | None = key_field(
        Nullable(readable(load_certificates)),
        "PEM certificates of authorities that are trusted beside those of the system.",
        default=None,
        example="/etc/regcache/internal-ca.pem",
    )
    address_family: Literal["any", "ipv4", "ipv6"] = key_field(
        choice("any", "ipv4", "ipv6"),
        "Which of its addresses are used.",
        default="any",
        example="ipv4",
    )
    connect_timeout: float = key_field(
        _TIMEOUT,
        "How long it may take to resolve its name and to connect.",
        default=10.0,
        example="5s",
    )
    first_byte_timeout: float = key_field(
        _TIMEOUT, "How long the head of an answer may take.", default=20.0, example="10s"
    )
    stall_timeout: float = key_field(
        _TIMEOUT,
        "How long the next bytes of a body may take. A body that brings less than 1 KiB/s over a "
        "minute is given up, too.",
        default=30.0,
        example="10s",
    )
    max_downloads: int = key_field(
        whole_number(1, 10000),
        "How many blobs are downloaded at once from each URL. Blobs that are passed through "
        "unstored have 16 times as many places of their own.",
        default=16,
        example="4",
    )


def _upstream_keys() -> dict[str, Key]:
    """Those of an upstream, and those of a URL that may stand beside them.

    Those belong to one URL; :mod:`regcache.config.upstream_longform` decides to which.
    """
    keys = keys_of(UpstreamSettings)
    own = {name: known for name, known in keys_of(UrlSettings).items() if name in SHARED}
    first = {name: keys[name] for name in ("hosts", "urls")}
    return first | own | keys


#: Keys of a URL that may stand beside those of the upstream.
SHARED = ("username", "password", "password_file", "token_hosts")
UPSTREAM: Section[dict[str, Any]] = Section(_upstream_keys(), dict)
