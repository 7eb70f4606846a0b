"""The guide for one account with limits: each client with the one identity that it can send.

===========================  ===========================================================
client                       what it can send, the first that there is
===========================  ===========================================================
docker                       a certificate, a host name, the address of a link; mirrors
                             get no login
podman, CRI-O                a certificate, a host name, the login
containerd, kubelet,         a certificate, a host name, the login
nerdctl
k3s, BuildKit                a host name, the login
===========================  ===========================================================

A certificate needs TLS, a host name a cache that is known by a name.
"""

import shlex
from collections.abc import Sequence
from dataclasses import KW_ONLY, field, replace

from regcache.client_setup import containerd, containers, docker
from regcache.client_setup.guide import Guide, guide_for
from regcache.client_setup.located import CachePlace, Located
from regcache.client_setup.served import LoginNeed, ServedHere
from regcache.client_setup.steps import GuideStep, SetUp, file, shell
from regcache.light_dataclass import dataclass

#: Where a client has its certificate and key, with ``{}`` for host and port.
_FOLDERS = {
    "docker": docker.CERTIFICATES,
    "podman": containers.CERTIFICATES,
    "crio": containers.CERTIFICATES,
    **dict.fromkeys(("containerd", "kubelet", "nerdctl"), containerd.CERTIFICATES),
}


@dataclass(frozen=True, slots=True)
class SeatClient:
    """What a client of an account can show, and may use.

    :ivar label: of its host; "" for none.
    :ivar certificate: it, PEM, where it is told now.
    :ivar certificate_key: its key, PEM.
    :ivar upstreams: the only ones, by names or aliases; None for all.
    """

    label: str = field(default="", repr=False)
    _: KW_ONLY
    has_certificate: bool = False
    has_link: bool = False
    certificate: str = ""
    certificate_key: str = field(default="", repr=False)
    upstreams: Sequence[str] | None = None


def seat_guide(tool: str, client: SeatClient, located: Located) -> Guide:
    """The guide for one of :data:`~regcache.client_setup.guide.TOOLS`."""
    without_login = replace(located, login=LoginNeed.NONE)
    steps: Sequence[GuideStep] = ()
    if client.has_certificate and tool in _FOLDERS and not _is_plain(located):
        setup = SetUp(without_login, client_folder=_FOLDERS[tool])
        steps = [_certificate_step(setup, client)]
    elif client.label and seat_urls(located, client.label):
        setup = SetUp(_at_seat(without_login, client.label))
    elif tool != "docker":
        setup = SetUp(located, with_login=True)
    elif client.has_link:
        setup, steps = SetUp(without_login), [GuideStep("identity", "docker.link")]
    else:
        setup, steps = SetUp(located, with_login=True), [GuideStep("identity", "docker.none")]
    guide = guide_for(tool, setup)
    return replace(guide, steps=[*steps, *guide.steps])


def for_seat(served: ServedHere, client: SeatClient) -> ServedHere:
    """What is served, with no other upstreams than those that the account may use."""
    if client.upstreams is None:
        return served
    wanted = frozenset(client.upstreams)
    seen = [each for each in served.registries if wanted & {each.name, *each.aliases}]
    return replace(served, registries=seen)


def seat_host(host: str, label: str) -> str:
    """The host of a seat in the place of one of the cache's; the same where it can have none."""
    first, dot, rest = host.partition(".")
    is_name = not host.replace(".", "").isdigit() and ":" not in host and host != "localhost"
    return f"{first}-{label}{dot}{rest}" if label and is_name else host


def seat_urls(located: Located, label: str) -> list[str]:
    """Where an account pulls by host names of its own."""
    return [each.url for each in seat_places(located, label)]


def seat_places(located: Located, label: str) -> list[CachePlace]:
    """The same, as places."""
    pairs = [(each, _of_seat(each, label)) for each in located.places]
    return [own for each, own in pairs if own != each]


def _is_plain(located: Located) -> bool:
    return all(each.is_plain for each in located.places)


def _certificate_step(setup: SetUp, client: SeatClient) -> GuideStep:
    """Its files where they are told; else commands that put them where they belong."""
    pairs = [pair for each in setup.located.places if (pair := setup.client_pair(each))]
    if client.certificate:
        blocks = []
        for certificate, key in pairs:
            blocks.append(file(certificate, client.certificate))
            blocks.append(file(key, client.certificate_key, secret=True))
        return GuideStep("certificate", "", blocks)
    lines = []
    for certificate, key in pairs:
        lines.append(shlex.join(["install", "-D", "-m", "0644", "client.cert", certificate]))
        lines.append(shlex.join(["install", "-D", "-m", "0600", "client.key", key]))
    return GuideStep("certificate", "certificate.place", [shell(*lines)])


def _at_seat(located: Located, label: str) -> Located:
    return replace(
        located,
        locations=[replace(each, place=_of_seat(each.place, label)) for each in located.locations],
        hub=None if located.hub is None else _of_seat(located.hub, label),
    )


def _of_seat(place: CachePlace, label: str) -> CachePlace:
    return replace(place, host=seat_host(place.host, label))
