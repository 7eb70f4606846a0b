"""Pulls an image as a client would, and says whether the cache answered."""

import argparse
import ssl
import time
from urllib.parse import SplitResult, urlsplit

from regcache.client_setup.located import NoSuchHostError, parse_host
from regcache.ctl.client_config_work import ask_login
from regcache.ctl.command import DONE, FAILED, USAGE
from regcache.ctl.printer import Printer, size_text
from regcache.ctl.prompts import NoPasswordError
from regcache.ctl.proof import BypassError, PullProof
from regcache.ctl.pulling import MANNERS, ClientPull, PullWish
from regcache.ctl.registry_connection import Connect, NoTLSError, RegistryConnection


def prove_image(options: argparse.Namespace) -> int:
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
    except NoPasswordError as error:
        printer.error(str(error))
        return FAILED
    deadline = time.monotonic() + options.timeout

    def connect(url: SplitResult) -> RegistryConnection:
        is_cache = url.netloc in {each.netloc for each in urls}
        return RegistryConnection(url, shown if is_cache else anonymous, deadline)

    def wish(url: SplitResult) -> PullWish:
        return PullWish(url, options.image, MANNERS[options.tool], options.platform, login=login)

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
    """What the cache is shown, and no other host."""
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
