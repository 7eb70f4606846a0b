"""A page for the person who has a seat: who that is, and exact files for each client program.

Each client has the one identity that it can send (:mod:`.seat_guide`).
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY

from regcache.client_setup.located import Located
from regcache.client_setup.seat_guide import SeatClient, seat_guide, seat_urls
from regcache.client_setup.steps import ANY_PASSWORD, ClientLogin, GuideStep, fill_in
from regcache.client_setup.words import FILLED, TEXTS, TITLES
from regcache.light_dataclass import dataclass

_WIDTH = 80


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
    client = SeatClient(
        paper.label,
        has_certificate=bool(paper.certificate),
        has_link=bool(paper.link),
        certificate=paper.certificate,
        certificate_key=paper.certificate_key,
    )
    return _steps(seat_guide(tool, client, located).steps, paper)


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
