"""What a configuration has on this machine, for those who look whether it is well."""

from regcache.config.endpoints import parse_endpoint
from regcache.config.files import end_of
from regcache.config.model import Config, Listener
from regcache.doctor.machine import CertificateState, PortState


def dialled(address: tuple[str, int]) -> tuple[str, int]:
    """Where to connect to a listener from its own machine."""
    local = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    return local.get(address[0], address[0]), address[1]


def certificate_states(config: Config) -> list[CertificateState]:
    """The certificates of listeners. Blocks."""
    chains = [
        each.chain
        for listener in config.listeners
        if listener.tls is not None
        for each in listener.tls.certificates
    ]
    return [_certificate_state(chain) for chain in dict.fromkeys(chains)]


def _certificate_state(chain: str) -> CertificateState:
    try:
        return CertificateState(chain, end_of(chain).timestamp())
    except ValueError as error:
        return CertificateState(chain, None, str(error))


def port_state(config: Config, listener: Listener, answers: bool | None) -> PortState:
    """What is known of a listener."""
    local = parse_endpoint(listener.endpoint).local
    serves = listener.redirect is None
    scheme = "https" if listener.tls is not None else "http"
    return PortState(
        listener.endpoint,
        scheme=scheme if serves else "redirects to https",
        answers=answers,
        is_local=local,
        is_open_to_all=serves and not local and not config.access.restricted,
    )
