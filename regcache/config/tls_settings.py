"""What may be set of TLS on listeners."""

from typing import Any, Literal

from regcache.client_ca import parse_issuers
from regcache.config.files import certificate_file, check_key, load_certificates, readable
from regcache.config.keys import key_field, section
from regcache.config.scalars import choice
from regcache.config.value_types import ListOf, Nullable
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a certificate chain and of its key, both PEM."""

    chain: str = key_field(
        certificate_file(load_certificates),
        "PEM certificates, that of the server first.",
        example="/etc/regcache/tls/fullchain.cer",
    )
    key: str = key_field(
        certificate_file(check_key),
        "The PEM key of the first certificate, without a passphrase.",
        example="/etc/regcache/tls/example.com.key",
    )


def _client_ca() -> Any:
    return key_field(
        Nullable(readable(parse_issuers)),
        "PEM certificates of authorities whose client certificates are taken: the common name is "
        "an account of `access.htpasswd`. Clients are asked for one, except on `admin.hosts`; "
        "those that have none go on without. Watched.",
        default=None,
        example="/etc/regcache/tls/clients.pem",
    )


@dataclass(frozen=True, slots=True)
class ShortTLS(Certificate):
    """One certificate, for the listeners that this stands for."""

    client_ca: str | None = _client_ca()


@dataclass(frozen=True, slots=True)
class ListenerTLS:
    """TLS on a listener; the first certificate is the default."""

    certificates: tuple[Certificate, ...] = key_field(
        ListOf(section(Certificate), minimum=1, null_is_default=False),
        "One or more. The host name that the client asks for chooses; the first is the default.",
        example="[{chain: /etc/regcache/tls/chain.pem, key: /etc/regcache/tls/key.pem}]",
    )
    minimum: Literal["TLSv1.2", "TLSv1.3"] = key_field(
        choice("TLSv1.2", "TLSv1.3"), "The oldest version.", default="TLSv1.2", example="TLSv1.3"
    )
    client_ca: str | None = _client_ca()
