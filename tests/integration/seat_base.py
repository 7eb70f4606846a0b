"""What tests of seats share: a file of seats, and a daemon with one of each kind."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509

from regcache.access.client_issuers import fingerprint_of
from tests.access.accounts import hashed
from tests.integration.access_base import MIXED_RULES, Restricted, client_authority
from tests.integration.base import UPSTREAM_HOST, shared
from tests.support.processes import Workspace, free_port
from tests.support.registry_client import RegistryClient

#: Seats: one that is well, one that has ended, and one that has used up its quota.
SEATED = ("seated", "Helium-of-seated-4721")
PAST = ("past", "Lithium-of-past-4722")
SPENT = ("spent", "Boron-of-spent-4723")
KEY = "rc_" + "Carbon-of-seated-4724".ljust(43, "x")
LABEL = "nitrogen4725"
LINK = "Oxygen-of-seated-4726".ljust(43, "x")
#: The common name of a certificate that is listed by its fingerprint.
WHOEVER = "whoever"
#: Comes through a proxy, and has opened the link.
KNOCKED = "192.0.2.77"
SECRETS = (SEATED[1], PAST[1], SPENT[1], KEY, LABEL, LINK)


def hash_of(secret: str) -> str:
    """As a file of seats has it."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def fingerprint(file: Path) -> str:
    """Of the first certificate in a file, as a file of seats has it."""
    certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
    return "sha256:" + fingerprint_of(certificate)


def seat_host(host: str = UPSTREAM_HOST, label: str = LABEL) -> str:
    """A host of the cache as that of a seat."""
    first, dot, rest = host.partition(".")
    return f"{first}-{label}{dot}{rest}"


class SeatsFile:
    """A file of seats that changes while a daemon watches it."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self.path = self._workspace.path / "seats.yml"
        self._seats: dict[str, dict[str, Any]] = {}

    def keep(self, name: str, **values: Any) -> None:
        """Have a seat with these values, from the next :meth:`put` on."""
        self._seats[name] = values

    def put(self, name: str, **values: Any) -> None:
        """Have a seat with these values."""
        self.keep(name, **values)
        text = "".join(f"{name}: {json.dumps(seat)}\n" for name, seat in self._seats.items())
        self._workspace.file("following", text).rename(self.path)

    def close(self) -> None:
        """Remove the file."""
        self._workspace.remove()


class Seated(Restricted):
    """A daemon with seats, behind a proxy at 127.0.0.1.

    :ivar operators: the port of its admin endpoint.
    """

    def __init__(self) -> None:
        self.seats = SeatsFile()
        self.operators = free_port()
        self.seats.put(
            "seated",
            password=hashed(SEATED[1]).decode(),
            keys=[hash_of(KEY)],
            host=LABEL,
            knock=hash_of(LINK),
            certificates=[fingerprint(client_authority().issued(WHOEVER).chain)],
        )
        ended = "2020-11-30T10:00:00Z"
        self.seats.put("past", password=hashed(PAST[1]).decode(), ended=ended)
        self.seats.put("spent", password=hashed(SPENT[1]).decode(), daily="1B")
        names = [SEATED[0], PAST[0], SPENT[0]]
        access = {
            "seats": str(self.seats.path),
            "knock": "24h",
            "trusted_proxies": ["127.0.0.0/8"],
            "rules": [*MIXED_RULES, {"accounts": names}],
        }
        super().__init__(access, admin={"endpoint": f"tcp:{self.operators}"})
        self.use_up()
        self.knock()

    def use_up(self) -> None:
        """Have one seat use up its quota."""
        self.daemon.client(credentials=SPENT).get("/v2/_catalog")

    def knock(self) -> None:
        """Open the link at an address."""
        client = RegistryClient(
            f"http://{self.daemon.address}", headers={"X-Forwarded-For": KNOCKED}
        )
        answer = client.ask("POST", f"/knock/{LINK}")
        assert answer.status == 200, answer

    def close(self) -> None:
        """Stop it."""
        super().close()
        self.seats.close()


@shared
def seated_daemon() -> Seated:
    """One that tests only ask."""
    return Seated()
