"""What a configuration means: plain immutable values in the long form.

Sizes are bytes or a :class:`~regcache.facts.Percentage`, durations are seconds, paths are
absolute. The defaults here are the defaults of the file. Secrets stay out of every ``repr``.
"""

from dataclasses import dataclass, field
from typing import Literal

from regcache.facts import Percentage

HSTS_DEFAULT = "max-age=15552000; includeSubDomains; preload"
DEFAULT_ENDPOINT = "tcp:5000:interface=127.0.0.1"
DEFAULT_TAG_TTL = 300.0
DEFAULT_MAX_SIZE = Percentage(80.0)
DEFAULT_MAX_BLOB = Percentage(25.0)

MIB = 1024**2
GIB = 1024**3
DAY = 86400.0


Size = int | Percentage


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron line of five fields, in local time."""

    expression: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a certificate chain and of its key, both PEM."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class ListenerTLS:
    """TLS on a listener; the first certificate is the default."""

    certificates: tuple[Certificate, ...]
    minimum: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"


@dataclass(frozen=True, slots=True)
class Listener:
    """One place to listen.

    :ivar endpoint: a Twisted server endpoint, or digits only: that port on IPv4 and IPv6.
    :ivar hsts: the header's value, or None.
    """

    endpoint: str
    redirect: Literal["https"] | None = None
    acme_webroot: str | None = None
    tls: ListenerTLS | None = None
    http2: bool = False
    hsts: str | None = None


@dataclass(frozen=True, slots=True)
class Admin:
    """Where operators look."""

    endpoint: str | None = "tcp:5001:interface=127.0.0.1"
    socket: str | None = None
    hosts: tuple[str, ...] = ()
    metrics_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """The cache directory and its bounds."""

    directory: str = "/var/lib/regcache"
    max_size: Size = DEFAULT_MAX_SIZE
    max_blob: Size = DEFAULT_MAX_BLOB
    min_free: int = 2 * GIB
    unused_for: float | None = 30 * DAY
    sweep: float | Cron = 3600.0
    purge: Cron | None = None
    finish: int | None = GIB


@dataclass(frozen=True, slots=True)
class TagTTL:
    """How long tags that match a glob stay fresh; the first match wins."""

    match: str
    ttl: float


@dataclass(frozen=True, slots=True)
class Proxy:
    """An outgoing HTTP proxy."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamEndpoint:
    """One URL of an upstream, with all that belongs to it alone.

    :ivar url: without a slash at the end.
    :ivar password: with ``password_file``, what the file held when it was loaded.
    :ivar token_hosts: further hosts that may issue tokens, as ``host`` or ``host:port``.
    :ivar ns: send ``?ns=<upstream>``, for a URL that is itself such a proxy.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    token_hosts: tuple[str, ...] = ()
    ns: bool = False


@dataclass(frozen=True, slots=True)
class Upstream:
    """One remote registry.

    :ivar proxy: None means what the environment says.
    """

    name: str
    endpoints: tuple[UpstreamEndpoint, ...]
    hosts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    default_namespace: str | None = None
    serve_private: bool = False
    tag_ttl: tuple[TagTTL, ...] = (TagTTL("*", DEFAULT_TAG_TTL),)
    negative_ttl: float = 10.0
    stale_if_error: float | None = None
    on_missing: Literal["gone", "stale"] = "gone"
    deadline: float = 2.0
    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    proxy: Proxy | Literal["direct"] | None = None
    ca_file: str | None = None
    address_family: Literal["any", "ipv4", "ipv6"] = "any"
    connect_timeout: float = 10.0
    first_byte_timeout: float = 30.0
    stall_timeout: float = 30.0
    max_downloads: int = 16


@dataclass(frozen=True, slots=True)
class NameServer:
    """A name server for upstreams' names."""

    protocol: Literal["udp", "tcp"]
    address: str
    port: int = 53


@dataclass(frozen=True, slots=True)
class Rule:
    """A grant; all of its conditions must hold. Empty means any."""

    accounts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    actions: tuple[str, ...] = ("pull",)


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """Bearer tokens of an external server."""

    realm: str
    issuer: str
    keys_file: str
    service: str = "regcache/{upstream}"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what."""

    htpasswd: str | None = None
    admins: tuple[str, ...] = ()
    realm: str = "Registry Realm"
    rules: tuple[Rule, ...] = ()
    token: TokenAccess | None = None

    @property
    def restricted(self) -> bool:
        """Whether anything decides who may pull."""
        return bool(self.htpasswd or self.rules or self.token)

    @property
    def has_admin(self) -> bool:
        """Whether some account has the action ``admin``."""
        return bool(self.admins) or any("admin" in rule.actions for rule in self.rules)


@dataclass(frozen=True, slots=True)
class UI:
    """The web UI."""

    title: str = "regcache"


@dataclass(frozen=True, slots=True)
class Log:
    """What goes to stdout."""

    format: Literal["text", "json"] = "text"
    access: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds per peer, and for stopping."""

    connections: int = 4096
    connections_per_address: int = 256
    header_timeout: float = 30.0
    idle: float = 75.0
    client_stall: float = 60.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole long form.

    :ivar domain: kept, because ``default_hosts`` depends on it.
    :ivar admin_hosts_derived: ``admin.hosts`` is what ``domain`` gives, not a user's wish.
    :ivar default_upstream: resolved to a configured name; None if there is none.
    """

    upstreams: tuple[Upstream, ...]
    listeners: tuple[Listener, ...] = (Listener(DEFAULT_ENDPOINT),)
    domain: str | None = None
    admin: Admin = Admin()
    admin_hosts_derived: bool = False
    storage: Storage = Storage()
    default_upstream: str | None = None
    default_hosts: tuple[str, ...] | None = None
    dns: tuple[NameServer, ...] = ()
    access: Access = Access()
    cors_origins: tuple[str, ...] = ()
    ui: UI = UI()
    log: Log = Log()
    limits: Limits = Limits()
