"""Pulls an image by the registry API as a client would, and keeps nothing of it.

============================  =====  ======  ====  ==================================
client                        /v2/   ``ns``  HEAD  login
============================  =====  ======  ====  ==================================
docker                        first  no      yes   none to a mirror (of Docker Hub)
podman, CRI-O                 first  no      no    by the host of the cache
containerd, nerdctl, kubelet  no     yes     yes   the header of its file, at once
k3s, BuildKit                 no     yes     yes   by the host of the cache
============================  =====  ======  ====  ==================================
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from regcache.challenge import Challenge, ChallengeError, parse_challenges
from regcache.client_setup.located import parse_host
from regcache.client_setup.steps import ClientLogin
from regcache.ctl.naming import HUB, ImageName
from regcache.ctl.proof import BypassError, ProvedPart, PullProof
from regcache.ctl.registry_connection import Connect, RegistryAnswer
from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.light_dataclass import dataclass
from regcache.manifest_body import InvalidManifestError, ManifestBody, parse_manifest
from regcache.media_types import MANIFEST_TYPES
from regcache.parsing import load_json

_ACCEPT = ", ".join((*MANIFEST_TYPES, "*/*"))
_PING = "/v2/"
_MOST_TOLD = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a client asks.

    :ivar pings: ``/v2/`` first.
    :ivar sends_ns: names the registry by ``?ns=``.
    :ivar heads: asks for a tag with HEAD, then by digest.
    :ivar sends_header: shows the login without being asked.
    :ivar logs_in_to_mirrors: shows the login where the cache stands in for Docker Hub.
    """

    pings: bool = False
    sends_ns: bool = True
    heads: bool = True
    sends_header: bool = False
    logs_in_to_mirrors: bool = True


_CONTAINERD, _CONTAINERS = (
    Manner(sends_header=True),
    Manner(pings=True, sends_ns=False, heads=False),
)
MANNERS: Mapping[str, Manner] = {
    "docker": Manner(pings=True, sends_ns=False, logs_in_to_mirrors=False),
    "containerd": _CONTAINERD,
    "podman": _CONTAINERS,
    "crio": _CONTAINERS,
    "k3s": Manner(),
    "buildkit": Manner(),
    "kubelet": _CONTAINERD,
    "nerdctl": _CONTAINERD,
}


@dataclass(frozen=True, slots=True)
class PullWish:
    """What is to be pulled.

    :ivar url: of the cache; its path goes before the repository, and then no ``ns`` is sent.
    :ivar platform: ``os/architecture``, of an index.
    """

    url: SplitResult
    image: ImageName
    manner: Manner
    platform: str
    _: KW_ONLY
    login: ClientLogin | None = None


class ClientPull:
    """One pull."""

    def __init__(self, wish: PullWish, connect: Connect, proof: PullProof) -> None:
        self._wish = wish
        self._connect = connect
        self._proof = proof
        self._registry = connect(wish.url)
        registry, _, repository = wish.image.name.partition("/")
        prefix = wish.url.path.strip("/")
        # Docker has mirrors for its own registry alone; all else it pulls by the cache's name.
        is_mirror = registry == HUB and not prefix
        self._login = wish.login if wish.manner.logs_in_to_mirrors or not is_mirror else None
        login = self._login if wish.manner.sends_header else None
        self._authorization = "" if login is None else login.basic
        self._base = f"/v2/{prefix}/{repository}" if prefix else f"/v2/{repository}"
        has_ns = (
            wish.manner.sends_ns
            and not prefix
            and registry not in (wish.url.hostname, wish.url.netloc)
        )
        self._query = f"?{urlencode({'ns': registry})}" if has_ns else ""

    def run(self) -> None:
        """Pull all of it, into the proof.

        :raises BypassError: where the client would go elsewhere.
        """
        if self._wish.manner.pings:
            self._ask("GET", _PING)
        body = self._manifest("tag", self._resolve())
        if body.is_index:
            child = body.child_for(self._wish.platform)
            if child is None:
                raise BypassError(f"the image has nothing for {self._wish.platform} (--platform)")
            body = self._manifest("manifest", str(child))
        for number, each in enumerate(body.descriptors):
            self._blob("layer" if number else "config", each.digest, each.size)

    def _resolve(self) -> str:
        """What the tag names, where the client asks that first."""
        reference = self._wish.image.reference
        if is_digest(reference) or not self._wish.manner.heads:
            return reference
        answer = self._ask("HEAD", self._target("manifests", reference))
        self._note("tag", reference, answer)
        return answer.headers.get("docker-content-digest", "") or reference

    def _manifest(self, kind: str, reference: str) -> ManifestBody:
        answer = self._ask("GET", self._target("manifests", reference))
        self._note(kind if not is_digest(reference) else "manifest", reference, answer)
        named = reference if is_digest(reference) else answer.headers.get("docker-content-digest")
        if named and not _digest(named).names(answer.body):
            raise BypassError(f"the manifest that came is not {named}")
        try:
            return parse_manifest(answer.body, answer.headers.get("content-type", ""))
        except InvalidManifestError as error:
            raise BypassError(f"what came for {reference} is no manifest: {error}") from None

    def _blob(self, kind: str, digest: Digest, size: int) -> None:
        hasher = digest.hasher()
        answer = self._ask("GET", self._target("blobs", str(digest)), hasher)
        self._note(kind, str(digest), answer)
        if answer.size != size or hasher.hexdigest() != digest.hex:
            raise BypassError(f"the {kind} that came is not {digest}")

    def _target(self, kind: str, reference: str) -> str:
        return f"{self._base}/{kind}/{reference}{self._query}"

    def _note(self, kind: str, reference: str, answer: RegistryAnswer) -> None:
        status = answer.headers.get("cache-status", "")
        part = ProvedPart(
            kind=kind,
            reference=reference,
            status=answer.status,
            cache_status=status,
            size=answer.size,
            seconds=answer.seconds,
        )
        self._proof.parts.append(part)
        if not part.is_ours:
            raise BypassError(f"{self._wish.url.netloc} answers, but is not regcache")

    def _ask(self, method: str, target: str, hasher: Any = None) -> RegistryAnswer:
        """An answer that a client can use. :raises BypassError: for any other."""
        answer = self._send(method, target, hasher)
        if answer.status == 401:
            self._authorise(answer)
            answer = self._send(method, target, hasher)
        if answer.status >= 400 and method == "HEAD":
            answer = self._send("GET", target)  # as containerd does: it has the words
        if answer.status == 401:
            raise BypassError(f"401 to the login: {_message(answer)}")
        if 300 <= answer.status < 400:
            url = _url(answer.headers.get("location", ""))
            where = "what is no URL" if url is None else url.netloc
            raise BypassError(f"it redirects to {where}, as the cache does not (https?)")
        if answer.status != 200:
            raise BypassError(f"{answer.status}: {_message(answer)}")
        return answer

    def _send(self, method: str, target: str, hasher: Any = None) -> RegistryAnswer:
        headers = {"Accept": _ACCEPT, "User-Agent": "regcachectl"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self._registry.ask(method, target, headers, hasher)

    def _authorise(self, answer: RegistryAnswer) -> None:
        """Do what a challenge wants. :raises BypassError: where the client cannot."""
        challenges = _challenges(answer)
        bearer = challenges.get("bearer")
        if bearer is not None and bearer.parameters.get("realm"):
            self._authorization = f"Bearer {self._token(bearer)}"
        elif "basic" not in challenges:
            raise BypassError("401, but not what proof is wanted")
        elif self._login is not None:
            self._authorization = self._login.basic
        elif self._wish.login is not None:
            raise BypassError("401: an account is needed, and Docker shows mirrors none")
        else:
            raise BypassError("401: an account is needed (--account); Docker shows mirrors none")

    def _token(self, challenge: Challenge) -> str:
        parameters = challenge.parameters
        realm = _url(parameters["realm"])
        if realm is None:
            raise BypassError("the token realm is no URL")
        names = [name for name in parameters if name in ("service", "scope")]
        query = {name: parameters[name] for name in names}
        target = f"{realm.path or '/'}?{urlencode(query)}"
        headers = {"User-Agent": "regcachectl"}
        if self._login is not None and self._may_see_login(realm):
            headers["Authorization"] = self._login.basic
        answer = self._connect(realm).ask("GET", target, headers)
        if answer.status != 200:
            raise BypassError(f"the token realm {realm.netloc} answers {answer.status}")
        try:
            found = load_json(answer.body)
            return str(found.get("token") or found["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise BypassError(f"the token realm {realm.netloc} gives no token") from None

    def _may_see_login(self, realm: SplitResult) -> bool:
        """Over TLS, or where it is shown without it already."""
        url = self._wish.url
        return realm.scheme == "https" or (realm.scheme, realm.netloc) == (url.scheme, url.netloc)


def _url(text: str) -> SplitResult | None:
    """A URL of HTTP that an answer names; None where it is none that can be asked."""
    try:
        url = urlsplit(text)
        parse_host(f"{url.scheme}://{url.netloc}")
        return url
    except ValueError:
        return None


def _challenges(answer: RegistryAnswer) -> dict[str, Challenge]:
    try:
        found = parse_challenges([answer.headers.get("www-authenticate", "")])
    except ChallengeError:
        return {}
    return {each.scheme: each for each in found}


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigestError as error:
        raise BypassError(f"{text[:_MOST_TOLD]}: {error}") from None


def _message(answer: RegistryAnswer) -> str:
    """What an error says of itself."""
    try:
        error = load_json(answer.body)["errors"][0]
        return f"{error['code']}: {error['message']}"[:_MOST_TOLD]
    except (ValueError, KeyError, IndexError, TypeError):
        return "without a word that a registry would say"
