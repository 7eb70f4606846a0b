"""``regcachectl prove``: pulls an image as a client would, and says whether the cache answered."""

import argparse
import platform
import ssl
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

from regcache.client_setup.located import NoSuchHostError, parse_host
from regcache.ctl.client_config_command import PASSWORD_VARIABLE, ask_login
from regcache.ctl.command import DONE, FAILED, USAGE
from regcache.ctl.naming import image_name
from regcache.ctl.printer import Printer, size_text
from regcache.ctl.proof import BypassError, PullProof
from regcache.ctl.pulling import MANNERS, ClientPull, PullWish
from regcache.ctl.registry_connection import Connect, NoTLSError, RegistryConnection

USUAL_IMAGE = "docker.io/library/hello-world"
#: For all of it (seconds).
USUAL_SECONDS, MOST_SECONDS = 300, 86_400
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
_EXAMPLE = "example: regcachectl prove --as docker https://docker.example.com"


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = commands.add_parser(
        "prove",
        help="pull an image as a client would, and say whether the cache answered",
        description="Pull an image by the registry API as a client would, verify each byte, keep "
        "nothing, and say whether it was a hit, a miss, or would bypass the cache, and why. Exits "
        "0 for hit and miss, 1 for bypass.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("--as", dest="tool", choices=tuple(MANNERS), default="containerd", help="the client")
    add(
        "--account",
        metavar="NAME",
        help=f"log in there; {PASSWORD_VARIABLE} or a prompt has the password",
    )
    add("--ca", metavar="FILE", help="certificates of an authority that is trusted, too")
    add("--cert", metavar="FILE", help="the certificate that the client shows there")
    add("--key", metavar="FILE", help="its key")
    usual = f"linux/{_MACHINES.get(platform.machine(), platform.machine())}"
    add("--platform", default=usual, help=f"of several ({usual})")
    add("--timeout", type=_seconds, default=USUAL_SECONDS, metavar="SECONDS", help="for all of it")
    add("--json", action="store_true", help="print the result as JSON")
    add(
        "host",
        metavar="HOST",
        help="the cache: HOST, HOST:PORT or a URL; a path names the registry",
    )
    add("image", metavar="IMAGE", nargs="?", type=image_name, default=image_name(USUAL_IMAGE))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prove it; gives the exit status."""
    printer = Printer(options.json)
    try:
        urls = _urls(options.host)
        login = ask_login(options.account)
        anonymous = _context(options.ca)
        shown = _shown(options)
    except ValueError as error:
        printer.error(str(error))
        return USAGE
    deadline = time.monotonic() + options.timeout

    def connect(url: SplitResult) -> RegistryConnection:
        is_cache = url.netloc in {each.netloc for each in urls}
        return RegistryConnection(url, shown if is_cache else anonymous, deadline)

    def wish(url: SplitResult) -> PullWish:
        return PullWish(url, options.image, MANNERS[options.tool], options.platform, login)

    url, proof = prove([wish(each) for each in urls], connect)
    if proof.bypass and not proof.parts and options.host.isalnum():
        proof.notes.append(f"{options.host} is taken for the cache; an image stands behind it")
    _print(options, url, proof, printer)
    return FAILED if proof.bypass else DONE


def prove(wishes: list[PullWish], connect: Connect) -> tuple[SplitResult, PullProof]:
    """Pull what is wished, at the first place that speaks its scheme.

    A login goes no further than to the first: that no TLS is spoken there can be forged on the way.
    """
    for number, wish in enumerate(wishes):
        proof = PullProof()
        try:
            ClientPull(wish, connect, proof).run()
        except NoTLSError as error:
            proof.bypass = str(error)
            if number + 1 < len(wishes):
                if wish.login is None:
                    continue
                plain = wishes[number + 1].url.geturl().rstrip("/")
                proof.bypass += f"; the login goes without TLS only if you write {plain}"
        except BypassError as error:
            proof.bypass = str(error)
        break
    if len(wishes) > 1 and wish.url.scheme == "http":
        proof.notes.append("it is plain HTTP, which the client has to be told")
    return wish.url, proof


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_SECONDS):
        raise argparse.ArgumentTypeError(
            f"{text}: write a number of seconds, at most {MOST_SECONDS}"
        )
    return int(text)


def _urls(text: str) -> list[SplitResult]:
    """What may be meant by a host: with TLS, and else without. :raises ValueError: if none."""
    scheme, colons, rest = text.rpartition("://")
    host, _, path = rest.partition("/")
    try:
        _, name, port = parse_host(f"{scheme}{colons}{host}")
    except NoSuchHostError:
        raise ValueError(f"{text}: write HOST, HOST:PORT or a URL of these") from None
    shown = f"[{name}]" if ":" in name else name
    place = shown if port is None else f"{shown}:{port}"
    schemes = [scheme] if scheme else ["https", "http"]
    return [urlsplit(f"{each}://{place}/{path.strip('/')}") for each in schemes]


def _context(file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if file is not None:
        try:
            context.load_verify_locations(file)
        except ssl.SSLError:
            raise ValueError(f"--ca: {file}: it holds no certificate") from None
        except OSError as error:
            raise ValueError(f"--ca: {file}: {error.strerror}") from None
    return context


def _shown(options: argparse.Namespace) -> ssl.SSLContext:
    """What the cache is shown, and nobody else."""
    context = _context(options.ca)
    if bool(options.cert) != bool(options.key):
        raise ValueError("--cert and --key belong together")
    if options.cert:
        try:
            # Without a password nobody is asked for one.
            context.load_cert_chain(options.cert, options.key, password="")
        except ssl.SSLError:
            raise ValueError("--cert, --key: they are no certificate and its key") from None
        except OSError as error:
            raise ValueError(
                f"--cert {options.cert} --key {options.key}: {error.strerror}"
            ) from None
    return context


def _print(
    options: argparse.Namespace, url: SplitResult, proof: PullProof, printer: Printer
) -> None:
    if options.json:
        printer.json(
            {
                "verdict": proof.verdict,
                "reason": proof.reason,
                "image": f"{options.image.name}:{options.image.reference}",
                "url": url.geturl(),
                "as": options.tool,
                "parts": [each.told() for each in proof.parts],
                "notes": proof.notes,
            }
        )
        return
    rows = [
        (
            each.kind,
            each.reference if len(each.reference) < 24 else f"{each.reference[:19]}…",
            str(each.status),
            size_text(each.size),
            f"{each.seconds * 1000:.0f} ms",
            each.cache_status,
        )
        for each in proof.parts
    ]
    printer.table(("", "", "status", "size", "took", "cache-status"), rows)
    for note in proof.notes:
        printer.error(f"look: {note}")
    printer.line(f"{proof.verdict}: {proof.reason}")
