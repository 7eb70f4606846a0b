"""A page for the person who has a seat: who that is, and exact files for each client program.

=============  ===========================================================================
client         what it can send, the first that there is
=============  ===========================================================================
docker         a certificate, a host name, the address of a link; mirrors get no login
podman         a certificate, a host name, the login
containerd     a certificate, a host name, the login
=============  ===========================================================================
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from regcache.client_setup.guide import TOOLS
from regcache.client_setup.located import CachePlace, Located
from regcache.client_setup.served import LoginNeed
from regcache.client_setup.steps import (
    ANY_PASSWORD,
    ClientLogin,
    GuideBlock,
    GuideStep,
    SetUp,
    file,
    fill_in,
)
from regcache.client_setup.words import FILLED, TEXTS, TITLES

_WIDTH = 80
#: Where a client has its certificate, with host and port.
_FOLDERS = {
    "docker": "/etc/docker/certs.d/{}",
    "podman": "/etc/containers/certs.d/{}",
    "containerd": "/etc/containerd/certs.d/{}",
}
_CERTIFICATE_TITLE = "The certificate that says who you are, and its key"
_NO_IDENTITY = (
    "Docker sends no login to a mirror, so it needs a certificate, a host name or a link of this"
    " account; ask for one. Until then: docker login, and pull by the name of the cache."
)


@dataclass(frozen=True, slots=True)
class SeatPaper:
    """What is known of an account when its page is made; secrets are there only once.

    :ivar facts: lines such as its last day and its limits.
    :ivar password: "" where it is not told now.
    :ivar key: a robot key; "" for none that is told now.
    :ivar label: of its host; "" for none that is told now.
    :ivar link: secret of a link; "" for none that is told now.
    :ivar certificate: and its key, PEM; "" for none that is told now.
    """

    name: str
    facts: Sequence[str]
    _: KW_ONLY
    password: str = ""
    key: str = ""
    label: str = ""
    link: str = ""
    certificate: str = ""
    certificate_key: str = ""

    @property
    def login(self) -> ClientLogin:
        """For files that have a login in them."""
        return ClientLogin(self.name, self.key or self.password or ANY_PASSWORD)


def seat_host(host: str, label: str) -> str:
    """The host of a seat in the place of one of the cache's; the same where it can have none."""
    first, dot, rest = host.partition(".")
    is_name = not host.replace(".", "").isdigit() and ":" not in host and host != "localhost"
    return f"{first}-{label}{dot}{rest}" if label and is_name else host


def seat_urls(located: Located, label: str) -> list[str]:
    """Where an account pulls by host names of its own."""
    return [_of_seat(each, label).url for each in located.places if _of_seat(each, label) != each]


def link_urls(located: Located, secret: str) -> list[str]:
    """The links that let an address pull; one for each host of the cache."""
    return [f"{each.url}/knock/{secret}" for each in located.places]


def seat_page(paper: SeatPaper, located: Located) -> str:
    """The page."""
    lines = [f"Container images for {paper.name}", "=" * (21 + len(paper.name)), ""]
    lines += [f"registry:  {each.url}" for each in located.places]
    lines.append(f"account:   {paper.name}")
    if paper.password:
        lines.append(f"password:  {paper.password}   (shown this once)")
    if paper.key:
        lines.append(f"robot key: {paper.key}   (shown this once; takes the password's place)")
    lines += [
        f"host:      {each}   (pulls alone; keep it to yourself)" for each in _urls(paper, located)
    ]
    lines += [*map(_fact, paper.facts)]
    if paper.link:
        lines += ["", *_wrapped("Open this where the pulls come from, and press the button:")]
        lines += [f"  {each}" for each in link_urls(located, paper.link)]
    for tool in ("docker", "podman", "containerd"):
        lines += ["", f"-- {tool} {'-' * (_WIDTH - len(tool) - 4)}", ""]
        lines += _client(tool, paper, located)
    return "\n".join(lines).rstrip() + "\n"


def _urls(paper: SeatPaper, located: Located) -> list[str]:
    return seat_urls(located, paper.label) if paper.label else []


def _fact(fact: str) -> str:
    return f"           {fact}"


def _client(tool: str, paper: SeatPaper, located: Located) -> Iterator[str]:
    """How one client is set up with the one identity that it can send."""
    by_certificate = bool(paper.certificate) and any(not each.is_plain for each in located.places)
    without_login = replace(located, login=LoginNeed.NONE)
    if by_certificate:
        meant = SetUp(without_login)
        yield from _steps(_certificate_steps(tool, paper, located), paper)
    elif paper.label and seat_urls(located, paper.label):
        meant = SetUp(_at_seat(without_login, paper.label))
    elif tool == "docker" and not paper.link:
        yield from [*_wrapped(_NO_IDENTITY), ""]
        meant = SetUp(located)
    elif paper.link and tool == "docker":
        yield from [*_wrapped("Its address has to be let in by the link above first."), ""]
        meant = SetUp(without_login)
    else:
        meant = SetUp(located, with_login=True)
    steps = TOOLS[tool](meant)
    yield from _steps(_with_client_key(steps) if by_certificate else steps, paper)


def _certificate_steps(tool: str, paper: SeatPaper, located: Located) -> list[GuideStep]:
    blocks = []
    for place in located.places:
        if not place.is_plain:
            folder = _FOLDERS[tool].format(place.address)
            blocks.append(file(f"{folder}/client.cert", paper.certificate))
            blocks.append(file(f"{folder}/client.key", paper.certificate_key, secret=True))
    return [GuideStep(_CERTIFICATE_TITLE, "", blocks)]


def _with_client_key(steps: Sequence[GuideStep]) -> list[GuideStep]:
    """Name the certificate in containerd's files; the others look for it by themselves."""
    return [replace(each, blocks=[_client_key(block) for block in each.blocks]) for each in steps]


def _client_key(block: GuideBlock) -> GuideBlock:
    lines = []
    for line in block.text.splitlines():
        lines.append(line)
        if line.startswith('[host."https://'):
            folder = _FOLDERS["containerd"].format(line.split("//")[1].removesuffix('"]'))
            lines.append(f'  client = [["{folder}/client.cert", "{folder}/client.key"]]')
    return replace(block, text="".join(f"{line}\n" for line in lines))


def _at_seat(located: Located, label: str) -> Located:
    return replace(
        located,
        locations=[replace(each, place=_of_seat(each.place, label)) for each in located.locations],
        hub=None if located.hub is None else _of_seat(located.hub, label),
    )


def _of_seat(place: CachePlace, label: str) -> CachePlace:
    return replace(place, host=seat_host(place.host, label))


def _steps(steps: Sequence[GuideStep], paper: SeatPaper) -> Iterator[str]:
    for step in steps:
        yield f"{TITLES.get(step.title, step.title)}."
        text = FILLED.get(step.text, step.text)
        yield from _wrapped(TEXTS.get(text, text))
        for block in step.blocks:
            where = f"part of {block.path}" if block.is_part else block.path
            yield from ("", f"  {where}:" if block.path else "  type:", "")
            told = fill_in(block.text, block.kind, paper.login)
            yield from (f"    {line}".rstrip() for line in told.splitlines())
        yield ""


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)
