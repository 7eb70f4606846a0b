"""``regcachectl prove``: pulls an image as a client would, and says whether the cache answered."""

import argparse
import platform
from typing import Any

from regcache.client_setup.programs import PROGRAMS
from regcache.ctl.client_password import PASSWORD_VARIABLE
from regcache.ctl.naming import image_name

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
    add("--as", dest="tool", choices=PROGRAMS, default="containerd", help="the client")
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
    # A client of registries, which no other command needs.
    from regcache.ctl.proving import prove_image

    return prove_image(options)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_SECONDS):
        raise argparse.ArgumentTypeError(
            f"{text}: write a number of seconds, at most {MOST_SECONDS}"
        )
    return int(text)
