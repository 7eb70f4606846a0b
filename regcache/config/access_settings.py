"""What may be set of accounts and grants."""

from regcache.config import names
from regcache.config.files import accounts_file, path, seats_file, token_keys_file
from regcache.config.keys import key_field, section
from regcache.config.scalars import choice, duration, glob, text, text_like
from regcache.config.value_types import ListOf, Nullable
from regcache.config.values import DAY
from regcache.light_dataclass import dataclass

_ACCOUNT = text_like(names.account, "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """A grant. All of its conditions must hold; one that is left out always does."""

    accounts: tuple[str, ...] = key_field(
        ListOf(_ACCOUNT, minimum=1, null_is_default=False),
        "The accounts that may do it; `anonymous` stands for everybody, with an account or not, "
        'and `"*"` for every account.',
        example="[alice]",
    )
    networks: tuple[str, ...] = key_field(
        ListOf(text_like(names.network, "network"), minimum=1, null_is_default=False),
        "The networks that the client may come from: a further condition beside `accounts`.",
        default=(),
        usually="any",
        example="[10.0.0.0/8]",
    )
    upstreams: tuple[str, ...] = key_field(
        ListOf(text_like(names.upstream_name, "name"), minimum=1, null_is_default=False),
        "Names or aliases of upstreams.",
        default=(),
        usually="any",
        example="[docker.io]",
    )
    repositories: tuple[str, ...] = key_field(
        ListOf(glob(), minimum=1, null_is_default=False),
        "Repositories, without the name of the upstream.",
        default=(),
        usually="any",
        example='["library/*"]',
    )
    actions: tuple[str, ...] = key_field(
        ListOf(choice("pull", "delete", "admin"), minimum=1, null_is_default=False),
        "The actions that are granted.",
        default=("pull",),
        example="[pull, delete]",
    )


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """Bearer tokens of an external server."""

    realm: str = key_field(
        text_like(names.url, "URL"),
        "Where clients get them.",
        example="https://auth.example.com/token",
    )
    issuer: str = key_field(text(256), "By whom they are issued.", example="auth.example.com")
    keys_file: str = key_field(
        token_keys_file(),
        "The public keys with which they are signed: PEM certificates or keys, or a JWK "
        "set. Watched.",
        example="/etc/regcache/token-keys.json",
    )
    service: str = key_field(
        text(256),
        "For whom they are issued; `{upstream}` stands for the name of the upstream.",
        default="regcache/{upstream}",
        example="regcache",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Who may do what."""

    htpasswd: str | None = key_field(
        Nullable(accounts_file()),
        "A file of accounts, with bcrypt only. With it every account may pull everything, and "
        "without an account nothing may be pulled. Watched: a removed account is refused within "
        "two seconds.",
        default=None,
        example="/etc/regcache/htpasswd",
    )
    seats: str | None = key_field(
        Nullable(seats_file()),
        "A file of seats: accounts with limits (docs/access.md). Written by the API and "
        "regcachectl; made if it is missing. Watched, as htpasswd is.",
        default=None,
        example="/var/lib/regcache/seats.yml",
    )
    admins: tuple[str, ...] = key_field(
        ListOf(_ACCOUNT, null_is_default=False, unique=True),
        "Accounts with pull, delete and admin.",
        default=(),
        example="[admin]",
    )
    realm: str = key_field(
        text(100),
        "The text that clients show when they ask for a password (Basic).",
        default="Registry Realm",
        example="Our registry",
    )
    rules: tuple[RuleSettings, ...] = key_field(
        ListOf(section(RuleSettings), null_is_default=False),
        'Grants in place of "every account may pull everything". They add up, in any order.',
        default=(),
        example="[{accounts: [anonymous], networks: [10.0.0.0/8]}, {accounts: [alice], "
        'upstreams: [docker.io], repositories: ["library/*"], actions: [pull]}]',
    )
    challenge: str = key_field(
        choice("auto", "basic", "bearer"),
        "How clients are asked for credentials. `auto` chooses: Basic if every pull needs an "
        "account, else Bearer with a realm of our own.",
        default="auto",
        example="bearer",
    )
    token_ttl: float = key_field(
        duration(60.0, DAY),
        "How long our own tokens are valid. They end earlier if the account is removed or its "
        "password changes.",
        default=300.0,
        example="1h",
    )
    key_file: str | None = key_field(
        Nullable(path()),
        "The key that signs our own tokens, 32 bytes or more; made if it is missing. Daemons "
        "with the same key accept each other's tokens. Unset: `token.key` in the storage "
        "directory.",
        default=None,
        example="/etc/regcache/token.key",
    )
    knock: float | None = key_field(
        Nullable(duration(60.0, 366 * DAY)),
        "How long an address may pull as a seat after the seat's link was opened there. Unset: "
        "there are no such links.",
        default=None,
        example="24h",
    )
    trusted_proxies: tuple[str, ...] = key_field(
        ListOf(text_like(names.network, "network"), null_is_default=False, unique=True),
        "Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: the client "
        "is the last address that is in none of them. Those of all others are ignored.",
        default=(),
        example="[10.0.0.5, fd00::/64]",
    )
    token: TokenAccess | None = key_field(
        Nullable(section(TokenAccess)),
        "Bearer tokens of an external server.",
        default=None,
        example="{realm: https://auth.example.com/token, service: regcache, "
        "issuer: auth.example.com, keys_file: /etc/regcache/token-keys.json}",
    )

    @property
    def restricted(self) -> bool:
        """Whether anything decides who may pull."""
        return bool(self.has_accounts or self.rules)

    @property
    def has_accounts(self) -> bool:
        """Whether anybody can be an account."""
        return bool(self.htpasswd or self.seats or self.token)

    @property
    def tells_apart(self) -> bool:
        """Whether a client may pull some repositories, and others not."""
        return self.token is not None or any(
            rule.upstreams or rule.repositories for rule in self.rules
        )

    @property
    def has_admin(self) -> bool:
        """Whether some account has the action ``admin``."""
        return bool(self.admins) or any(
            "admin" in rule.actions and not (rule.upstreams or rule.repositories)
            for rule in self.rules
        )
