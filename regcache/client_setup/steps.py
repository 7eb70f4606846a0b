"""What a guide is made of: steps with files and commands."""

import base64
import json
import shlex
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Literal

from regcache.client_setup.located import CachePlace, Located, Location
from regcache.client_setup.served import LoginNeed
from regcache.light_dataclass import dataclass
from regcache.sample_images import SAMPLES

#: The first line of files that are ours alone.
MARK = "# Written by regcachectl client-config; what is changed here is lost when it runs again."
#: In the place of an account.
ANY_NAME, ANY_PASSWORD = "ACCOUNT_NAME", "ACCOUNT_PASSWORD"
ANY_BASIC = "Basic BASE64_OF_ACCOUNT_NAME:ACCOUNT_PASSWORD"


@dataclass(frozen=True, slots=True)
class GuideBlock:
    """A file, or commands.

    :ivar path: of the file; "" for commands.
    :ivar is_part: only a part of the file, which others have written.
    :ivar is_secret: it has a password, or a place for one.
    """

    kind: Literal["file", "shell"]
    text: str
    _: KW_ONLY
    path: str = ""
    is_part: bool = False
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class GuideStep:
    """One step.

    :ivar title: a code of :data:`~regcache.client_setup.words.TITLES`.
    :ivar text: a code of :data:`~regcache.client_setup.words.TEXTS`; "" for none.
    """

    title: str
    text: str = ""
    blocks: Sequence[GuideBlock] = ()


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """The account that a client is to use."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"ClientLogin({self.name!r})"

    @property
    def basic(self) -> str:
        """The value of ``Authorization`` (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class SetUp:
    """What is to be set up.

    :ivar with_login: the client shows an account, also where not everybody has to.
    :ivar client_folder: where it has a certificate of its own, ``client.cert``, and the key,
        ``client.key``; with ``{}`` for host and port. "" where it shows none.
    """

    located: Located
    with_login: bool = False
    client_folder: str = ""

    @property
    def needs_login(self) -> bool:
        """Whether the client has to show an account."""
        return self.with_login or self.located.login is LoginNeed.ALWAYS

    def client_pair(self, place: CachePlace) -> tuple[str, str] | None:
        """Certificate and key that the client shows at a place; None for none."""
        if place.is_plain or not self.client_folder:
            return None
        folder = self.client_folder.format(place.address)
        return f"{folder}/client.cert", f"{folder}/client.key"


def fill_in(text: str, kind: str, login: ClientLogin) -> str:
    """The text of a block with an account in the place of what stands for it.

    :param kind: of the block.
    """
    if kind == "shell":
        return text.replace(ANY_NAME, shlex.quote(login.name))
    for stands, value in (
        (ANY_BASIC, login.basic),
        (quoted(ANY_NAME), quoted(login.name)),
        (quoted(ANY_PASSWORD), quoted(login.password)),
    ):
        text = text.replace(stands, value)
    return text


def file(path: str, text: str, *, part: bool = False, secret: bool = False) -> GuideBlock:
    """A file."""
    return GuideBlock("file", text, path=path, is_part=part, is_secret=secret)


def shell(*lines: str) -> GuideBlock:
    """Commands."""
    return GuideBlock("shell", "".join(f"{line}\n" for line in lines))


def quoted(text: str) -> str:
    """A string as TOML and YAML read it."""
    return json.dumps(text, ensure_ascii=False)


def authority_step(located: Located, path_of: str, *, after: Sequence[str] = ()) -> list[GuideStep]:
    """The certificates of authorities that systems do not know, if there are any.

    :param path_of: of a file, with ``{}`` for host and port.
    :param after: commands that have the client see it.
    """
    blocks = [
        file(path_of.format(each.address), each.authority)
        for each in located.places
        if each.authority
    ]
    if not blocks:
        return []
    return [GuideStep("authority", "authority", [*blocks, *([shell(*after)] if after else [])])]


def login_step(setup: SetUp, command: str, text: str = "login") -> list[GuideStep]:
    """A login at each place, where one is needed.

    :param command: of the client, such as ``docker login``.
    """
    if not setup.needs_login:
        return []
    lines = [f"{command} --username {ANY_NAME} {each.address}" for each in setup.located.places]
    return [GuideStep("login", text, [shell(*lines)])]


def check_step(
    setup: SetUp, tool: str, pull: str, *, authority: str, prefix: bool = False
) -> list[GuideStep]:
    """A pull, and the command that proves that it went through the cache.

    :param pull: a command of the client, with ``{}`` for the image.
    :param authority: the file of the authority that is trusted, with ``{}`` for host and port.
    :param prefix: whether the client puts the name of the registry before the repository.
    """
    location = _tried(setup.located)
    if location is None:
        return []
    repository, tag = SAMPLES.get(location.registry.name, ("ORG/IMAGE", "TAG"))
    image = f"{location.names[0]}/{repository}:{tag}"
    proof = prove(setup, tool, location, image, authority=authority, prefix=prefix)
    return [GuideStep("check", "check", [shell(pull.format(image), proof)])]


def prove(
    setup: SetUp, tool: str, location: Location, image: str, *, authority: str, prefix: bool = False
) -> str:
    """The command that proves it.

    :param authority: see :func:`check_step`.
    """
    place = location.place
    where = place.url + (f"/{location.prefix}" if prefix and location.prefix else "")
    words = ["regcachectl", "prove", "--as", tool]
    if place.authority:
        words += ["--ca", authority.format(place.address)]
    if pair := setup.client_pair(place):
        words += ["--cert", pair[0], "--key", pair[1]]
    if setup.needs_login:
        words += ["--account", ANY_NAME]
    return shlex.join([*words, where, image])


def _tried(located: Located) -> Location | None:
    """The registry whose small image is pulled: a known one, Docker Hub first."""
    order = list(SAMPLES)
    known = [each for each in located.mirrored if each.registry.name in order]
    if known:
        return min(known, key=lambda each: order.index(each.registry.name))
    return next(iter(located.mirrored), None)


def insecure(places: Sequence[CachePlace]) -> list[CachePlace]:
    """Those that are plain HTTP, which clients have to be told."""
    return [each for each in places if each.is_plain]
