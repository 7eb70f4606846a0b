"""``GET /`` on a host of the registry: how clients are set up for it.

Browsers get a page, all others a line. The page is static: no script, nothing that is loaded, every
value escaped. Where access is restricted a stranger learns nothing but that there is a registry
under the name that was asked for, and that it may want an account: no upstream, no other host.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

from regcache.bounded import BoundedTable
from regcache.client_setup.guide import guide_for
from regcache.client_setup.located import (
    NoSuchHostError,
    locate_registries,
)
from regcache.client_setup.served import ServedHere
from regcache.client_setup.steps import GuideStep, SetUp
from regcache.client_setup.words import TEXTS, TITLES
from regcache.media_types import accepts, base_type
from regcache.web.request import Dispatch, Request
from regcache.web.respond import add_vary, send_body, send_text

PATH = b"/"
LINE = "This is a registry for container images; its API is below /v2/.\n"
_METHODS = frozenset({b"GET", b"HEAD"})
_HTML = "text/html"
#: Programs that are shown.
_TOOLS = (("docker", "Docker"), ("containerd", "containerd, Kubernetes"), ("podman", "Podman"))
#: Pages that are remembered; clients choose the hosts (entries).
_MOST_PAGES = 64

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c2430;background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}"
    "h3{font-size:1rem}pre{background:#f3f5f8;padding:.7rem;overflow-x:auto}"
    "td{padding:0 1rem 0 0}@media(prefers-color-scheme:dark){body{color:#dde3ea;background:#14181d}"
    "pre{background:#1f262e}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode("ascii")).digest()).decode("ascii")
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class RegistryPage:
    """Answers ``GET /`` of clients.

    :param served: what is served here.
    :param restricted: not everybody may pull everything.
    """

    def __init__(self, served: ServedHere, restricted: bool) -> None:
        # A page that strangers see has no certificates in it.
        places = [replace(each, authority="") for each in served.places]
        self._served = replace(served, places=places)
        self._restricted = restricted
        self._pages: BoundedTable[str, bytes] = BoundedTable(_MOST_PAGES)

    def before(self, dispatch: Dispatch) -> Dispatch:
        """A dispatcher that answers this page, and leaves all else to another."""

        def answer_or_pass_on(request: Request) -> Any:
            if request.path != PATH or request.method not in _METHODS:
                return dispatch(request)
            return self._answer(request)

        return answer_or_pass_on

    def _answer(self, request: Request) -> None:
        add_vary(request, "Accept")
        page = self._page(request) if _wants_page(request.field_lines(b"accept")) else None
        if page is None:
            send_text(request, LINE)
        else:
            send_body(request, page, f"{_HTML}; charset=utf-8", headers=_HEADERS)

    def _page(self, request: Request) -> bytes | None:
        """The page of the host that is asked for; None where it serves nothing by itself."""
        host, lines = request.hostname, request.field_lines(b"host")
        served = self._served
        if host is None or not lines:
            return None
        if served.named_by(host) is None and not served.answers_by_default(host):
            return None
        url = f"{request.scheme}://{lines[0].lower()}"
        page = self._pages.get(url)
        if page is None:
            try:
                page = self._render(url, host).encode("utf-8")
            except NoSuchHostError:
                return None
            self._pages.put(url, page)
        return page

    def _render(self, url: str, host: str) -> str:
        located = locate_registries(self._served, url)
        if self._restricted:
            return _document(host, _restricted(located.base.address))
        meant = self._served.named_by(host) or self._served.default_upstream
        shown = [each for each in located.locations if each.registry.name == meant]
        setup = SetUp(replace(located, locations=shown or located.locations[:1]))
        parts = [_names(located.locations)]
        for tool, name in _TOOLS:
            parts += [f"<h2>{escape(name)}</h2>", *map(_step, guide_for(tool, setup).steps)]
        return _document(host, "".join(parts))


def _wants_page(lines: Sequence[str]) -> bool:
    """Whether HTML is asked for by its name, as browsers do."""
    named = {base_type(part) for line in lines for part in line.split(",")}
    return _HTML in named and accepts(lines, _HTML)


def _document(host: str, body: str) -> str:
    title = escape(host)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>A registry for container images.</p>{body}</body></html>\n"
    )


def _restricted(address: str) -> str:
    shown = escape(address)
    return (
        "<p>Some images, or all of them, need an account here. Ask who runs this registry for one, "
        f"and which images there are.</p><pre>docker login {shown}\ndocker pull {shown}/IMAGE</pre>"
    )


def _names(locations: Sequence[Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.registry.name)}</td><td><code>{escape(each.pulled_as)}</code></td></tr>"
        for each in locations
    )
    return f"<p>It keeps copies of what is pulled from:</p><table>{rows}</table>"


def _step(step: GuideStep) -> str:
    blocks = [
        (f"<p><code>{escape(each.path)}</code></p>" if each.path else "")
        + f"<pre>{escape(each.text)}</pre>"
        for each in step.blocks
    ]
    text = TEXTS.get(step.text, "")
    return f"<h3>{escape(TITLES[step.title])}</h3><p>{escape(text)}</p>{''.join(blocks)}"
