"""What clients have to know of a configuration, for their set-up."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from regcache.client_setup.seat_guide import SeatClient
from regcache.client_setup.served import ListeningPlace, LoginNeed, ServedHere, ServedRegistry
from regcache.config.access_settings import AccessSettings, RuleSettings
from regcache.config.endpoints import tcp_address
from regcache.config.files import covered_names, load_certificates, read_bounded
from regcache.config.known import KNOWN
from regcache.config.model import Config, Listener
from regcache.htpasswd import ANYBODY
from regcache.seats import Seat
from regcache.whole_file import MOST_BYTES

#: X509_V_FLAG_NO_CHECK_TIME: whether a certificate has expired is another question.
_ANY_TIME = 0x200000


def served_here(config: Config, machine: str) -> ServedHere:
    """What clients have to know of it. Reads the files of certificates: blocks.

    :param machine: what this machine calls itself.
    """
    return ServedHere(
        [_place(each) for each in config.listeners if each.redirect is None],
        [
            ServedRegistry(
                each.name,
                aliases=each.aliases,
                hosts=each.hosts,
                server=KNOWN[each.name].url if each.name in KNOWN else "",
            )
            for each in config.upstreams
        ],
        login=login_need(config.access),
        default_upstream=config.default_upstream,
        default_hosts=config.default_hosts,
        domain=config.domain,
        admin_hosts=config.admin.hosts,
        machine=machine,
    )


def seat_client(access: AccessSettings, seat: Seat) -> SeatClient:
    """What the clients of a seat can show, and may use."""
    return SeatClient(
        seat.host or "",
        has_certificate=bool(seat.certificates),
        has_link=seat.knock is not None and access.knock is not None,
        upstreams=None if seat.name in access.admins else seat.upstreams,
    )


def login_need(access: AccessSettings) -> LoginNeed:
    """Whether clients need an account to pull."""
    if not access.restricted:
        return LoginNeed.NONE
    rules = [each for each in access.rules if ANYBODY in each.accounts and "pull" in each.actions]
    if not rules:
        return LoginNeed.ALWAYS
    return LoginNeed.NONE if any(map(_has_no_condition, rules)) else LoginNeed.SOME


def _has_no_condition(rule: RuleSettings) -> bool:
    return not (rule.networks or rule.upstreams or rule.repositories)


def _place(listener: Listener) -> ListeningPlace:
    address = tcp_address(listener.endpoint)
    chains = [each.chain for each in listener.tls.certificates] if listener.tls else []
    return ListeningPlace(
        "https" if listener.tls else "http",
        None if address is None else address[1],
        interface="" if address is None else address[0],
        names=sorted(_names(chains)),
        authority="".join(dict.fromkeys(unknown_authority(chain) for chain in chains)),
    )


def _names(chains: list[str]) -> Iterator[str]:
    for chain in chains:
        try:
            yield from covered_names(chain)
        except ValueError:
            continue  # replaced since it was checked; loading it will tell


def unknown_authority(chain: str) -> str:
    """Who issued a certificate that this system does not trust: PEM; "" if it does trust it.

    :param chain: a file. If it ends before the authority itself, its last certificate is given,
        which clients take as well.
    """
    try:
        certificates = load_certificates(read_bounded(chain, MOST_BYTES))
    except ValueError:
        return ""
    if _is_trusted(certificates):
        return ""
    return certificates[-1].public_bytes(Encoding.PEM).decode("ascii")


def _is_trusted(certificates: list[x509.Certificate]) -> bool:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_default_verify_paths()
    store = context.get_cert_store()
    if store is None:
        return False
    store.set_flags(_ANY_TIME)
    leaf, *others = (crypto.X509.from_cryptography(each) for each in certificates)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
