"""``/knock/<secret>``: the page of a seat's link; its button lets an address pull as the seat.

============================  ====================================================================
what is not let in            why
============================  ====================================================================
a peer without an address,    strangers come by the same way, and all of them would be the seat
or a trusted proxy that does
not tell its client
what a page of another site   who looks at such a page would pull as the seat of its author
sends
============================  ====================================================================
"""

import html
from typing import Any

from regcache.access.access import Access
from regcache.access.accounts import AccountProof
from regcache.errors import DeniedError, NameUnknownError, UnsupportedError
from regcache.light_dataclass import dataclass
from regcache.web.own_pages import is_from_foreign_page
from regcache.web.request import Dispatch, Request
from regcache.web.respond import note_error, send_body

PREFIX = b"/knock/"
METHODS = frozenset({b"GET", b"HEAD", b"POST"})
#: The longest secret that is looked at (bytes).
_LONGEST = 128
_TYPE = "text/html; charset=utf-8"
#: The address of the page is a secret: it goes to no other site, and none has it in a frame. With
#: ``no-referrer`` its button would hide the origin, too, as that of a foreign page can.
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
}
_SHARED = (
    "This request came with no address of its own: by a unix socket, or through a proxy that did"
    " not tell who its client is (X-Forwarded-For). All who come that way would count as you, so it"
    " is not let in. Open the link by a way that shows your address, or ask the operator of this"
    " registry to have the proxy send it."
)
_FOREIGN = (
    "A page of another site sent this request, so this address is not let in. Open the link itself"
    " and use its button."
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }}
button {{ font: inherit; padding: .5rem 1rem }}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class KnockHandler:
    """Answers those who open links.

    :ivar title: of this cache.
    """

    access: Access
    title: str

    def before(self, others: Dispatch) -> Dispatch:
        """A dispatcher that answers links, and leaves all else to another."""

        def answer(request: Request) -> Any:
            if request.path.startswith(PREFIX):
                return self.answer(request)
            return others(request)

        return answer

    def answer(self, request: Request) -> None:
        """Show the page; with POST let the address pull.

        :raises RegistryError: for a secret that is none, as for wrong credentials.
        """
        if request.method not in METHODS:
            raise UnsupportedError("a link takes GET and POST")
        if request.method == b"POST" and is_from_foreign_page(request):
            self._refuse(request, _FOREIGN)
            return
        proof = self._proof(request)
        address = self._address(request)
        if address is None:
            self._refuse(request, _SHARED)
        elif request.method != b"POST":
            self._send(request, self._question(address, proof))
        else:
            self.access.admit_address(proof, address)
            text = (
                f"This address may pull as {proof.account} for {_period(self._seconds)} from now."
            )
            self._send(request, f"<p>{html.escape(text)}</p>")

    def _address(self, request: Request) -> str | None:
        """The address of the client; None where strangers have it, too."""
        knocking, peer = self.access.knocking, request.peer_address
        return None if knocking is None else knocking.client_address(peer)

    @property
    def _seconds(self) -> float:
        knocking = self.access.knocking
        return 0.0 if knocking is None else knocking.seconds

    def _proof(self, request: Request) -> AccountProof:
        secret = request.path.removeprefix(PREFIX)
        if self.access.knocking is not None and 0 < len(secret) <= _LONGEST:
            proof = self.access.knock(secret.decode("latin-1"), request.peer_address)
            if proof is not None:
                request.facts.account = proof.account
                return proof
        raise NameUnknownError("there is no such link, or it has ended")

    def _question(self, address: str, proof: AccountProof) -> str:
        account, period = html.escape(proof.account), _period(self._seconds)
        return (
            f"<p>All that pulls from the address <b>{html.escape(address)}</b> will count as"
            f" <b>{account}</b> for {period}: other machines behind the same router, too.</p>\n"
            '<form method="post"><button>Let this address pull</button></form>'
        )

    def _refuse(self, request: Request, why: str) -> None:
        note_error(request, DeniedError(why))
        self._send(request, f"<p>{html.escape(why)}</p>", status=403)

    def _send(self, request: Request, body: str, status: int = 200) -> None:
        page = _PAGE.format(title=html.escape(self.title), body=body)
        send_body(request, page.encode("utf-8"), _TYPE, status=status, headers=_HEADERS)


def _period(seconds: float) -> str:
    """A time in words that everybody reads: whole hours or minutes."""
    minutes = max(1, round(seconds / 60))
    if minutes % 60 == 0:
        return f"{minutes // 60} hours" if minutes != 60 else "an hour"
    return f"{minutes} minutes"
