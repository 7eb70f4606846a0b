"""A registry on a real port of 127.0.0.1 that does wrong on demand, and records every request.

It runs in threads with plain sockets, apart from any reactor. Blobs and manifests are held in
memory or generated; a second origin plays the object store that registries redirect to.
"""

import contextlib
import json
import re
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping

from tests.support.faults import GOOD, Fault, FaultPlan
from tests.support.generated import Content, GeneratedContent, StoredContent
from tests.support.images import Image
from tests.support.registry_client import basic
from tests.support.wire import Answer, Reply, Request, read_request, reset

_CONTENT = re.compile(r"^/v2/(.+)/(blobs|manifests)/([^/]+)$")
_TAGS = re.compile(r"^/v2/(.+)/tags/list$")
_CODES: Mapping[int, str] = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}


def error(status: int, code: str, **headers: str) -> Reply:
    """An OCI error answer."""
    text = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()
    return Reply.of(status, text, "application/json", **headers)


class FaultyUpstream:
    """The registry. ``faults`` says what goes wrong; ``requests`` is what was asked.

    :ivar tags_per_page: how many tags a page of a list has; None: all of them.
    :ivar realm_knows_nobody: the realm refuses every account, and helps who shows none.
    """

    def __init__(self, context: ssl.SSLContext | None = None, rate: float | None = None) -> None:
        self.faults, self.rate = FaultPlan(), rate
        self.requests: list[Request] = []
        self.token_requests: list[Request] = []
        self.token_lifetime = 300
        self.realm_knows_nobody = False
        self.tags_per_page: int | None = None
        self.realm: str | None = None
        self._account: tuple[str, str] | None = None
        self._demands_token = False
        self._content: dict[tuple[str, str, str], tuple[str, Content]] = {}
        self._tokens: set[str] = set()
        self._signatures: set[str] = set()
        self._stopped = threading.Event()
        self._open: set[socket.socket] = set()
        self._context = context
        scheme = "https" if context else "http"
        self._listeners = {name: self._listen(name) for name in ("registry", "storage")}
        ports = {name: one.getsockname()[1] for name, one in self._listeners.items()}
        self.url = f"{scheme}://127.0.0.1:{ports['registry']}"
        self.storage_url = f"{scheme}://127.0.0.1:{ports['storage']}"

    # What it holds and demands

    def add_blob(self, repository: str, data: bytes) -> str:
        """Hold a blob; its digest."""
        return self._add_body(repository, StoredContent(data))

    def add_generated_blob(self, repository: str, size: int, seed: object = 0) -> GeneratedContent:
        """Hold ``size`` bytes made from a seed."""
        content = GeneratedContent(size, seed)
        self._add_body(repository, content)
        return content

    def _add_body(self, repository: str, body: Content) -> str:
        self._content[repository, "blobs", body.digest] = ("application/octet-stream", body)
        return body.digest

    def add_manifest(self, repository: str, media_type: str, data: bytes, *tags: str) -> str:
        """Hold a manifest under its digest and under ``tags``; its digest."""
        body = StoredContent(data)
        for reference in (body.digest, *tags):
            self._content[repository, "manifests", reference] = (media_type, body)
        return body.digest

    def add_image(self, repository: str, image: Image, *tags: str) -> None:
        """Hold an image with all that it mentions."""
        for blob in image.all_blobs().values():
            self.add_blob(repository, blob.data)
        for manifest in image.all_manifests():
            self.add_manifest(repository, manifest.media_type, manifest.data)
        self.add_manifest(repository, image.media_type, image.data, *tags)

    def forget(self, repository: str, kind: str, reference: str) -> None:
        """Hold a blob, manifest or tag no longer; ``kind`` is ``blobs`` or ``manifests``."""
        del self._content[repository, kind, reference]

    def require_basic(self, username: str, password: str) -> None:
        """Demand an account on every request."""
        self._account = (username, password)

    def require_token(
        self, account: tuple[str, str] | None = None, realm: str | None = None
    ) -> None:
        """Demand Bearer tokens, given by the realm (``/token`` here) to ``account``, or to all."""
        self._demands_token, self._account = True, account
        self.realm = realm or f"{self.url}/token"

    def revoke_tokens(self) -> None:
        """Take no token that was given until now."""
        self._tokens.clear()

    # What was asked

    def asked(self, kind: str = "blobs", method: str = "GET") -> list[Request]:
        """The requests for ``blobs`` or ``manifests``, on either origin."""
        return [one for one in self.requests if one.method == method and f"/{kind}/" in one.path]

    def sent_bytes(self) -> int:
        """How many bytes of blobs were sent in all."""
        return sum(one.sent for one in self.asked())

    # Connections

    def close(self) -> None:
        """Close the listeners and every connection."""
        self._stopped.set()
        for one in [*self._listeners.values(), *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _listen(self, origin: str) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        threading.Thread(target=self._accept, args=(listener, origin), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket, origin: str) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, origin), daemon=True).start()

    def _serve(self, connection: socket.socket, origin: str) -> None:
        self._open.add(connection)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection.makefile("rb") as stream:
                while (request := read_request(stream, origin)) is not None:
                    request.port = connection.getpeername()[1]
                    if not self._answer(connection, request):
                        break
        self._open.discard(connection)
        with contextlib.suppress(OSError):
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        fault = self.faults.next(request.method, request.path)
        is_token = request.path == "/token"
        (self.token_requests if is_token else self.requests).append(request)
        if fault.authorised and self._challenge(request) is not None:
            fault = GOOD
        if fault.silent:
            self._stopped.wait(3600)
        if fault.reset:
            reset(connection)
            return False
        if fault.raw is not None:
            connection.sendall(fault.raw)
            return False
        self._stopped.wait(fault.first_byte_delay)
        while fault.held and not fault.release.wait(0.01) and not self._stopped.is_set():
            pass
        reply = self._faulty_reply(request, fault) or self._reply(request)
        pause = self._stopped.wait
        return Answer(connection, request, reply, fault, self.rate, pause).send()

    # Answers

    def _faulty_reply(self, request: Request, fault: Fault) -> Reply | None:
        if fault.status is not None:
            reply = error(fault.status, _CODES.get(fault.status, "UNKNOWN"))
            if fault.retry_after is not None:
                reply.headers["Retry-After"] = str(fault.retry_after)
            return reply
        if fault.redirect:
            signature = secrets.token_hex(8)
            self._signatures.add(signature)
            place = f"{self.storage_url}/storage{request.path}?signature={signature}"
            location = fault.redirect if isinstance(fault.redirect, str) else place
            return Reply.of(307, b"", "text/plain", Location=location)
        return None

    def _reply(self, request: Request) -> Reply:
        path = request.path
        if path == "/token":
            return self._token(request)
        if request.origin == "storage":
            signature = request.query.get("signature", [""])[0]
            if signature not in self._signatures:
                return error(403, "DENIED")
            self._signatures.discard(signature)
            path = path.removeprefix("/storage")
        elif (challenge := self._challenge(request)) is not None:
            return error(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
        return self._content_reply(request, path)

    def _content_reply(self, request: Request, path: str) -> Reply:
        if path in ("/v2/", "/v2"):
            return Reply.of(200, b"{}", "application/json")
        if found := _TAGS.match(path):
            return self._tags(found[1], request)
        wanted = _CONTENT.match(path)
        held = self._content.get((wanted[1], wanted[2], wanted[3])) if wanted else None
        if held is None:
            manifest = wanted is not None and wanted[2] == "manifests"
            return error(404, "MANIFEST_UNKNOWN" if manifest else "BLOB_UNKNOWN")
        media_type, body = held
        headers = {
            "Content-Type": media_type,
            "Docker-Content-Digest": body.digest,
            "ETag": f'"{body.digest}"',
            "Accept-Ranges": "bytes",
        }
        return Reply(200, headers, body)

    def _tags(self, repository: str, request: Request) -> Reply:
        """The tags of a repository, in pages (OCI distribution, "Listing Tags") or not."""
        names = sorted(
            reference
            for name, kind, reference in self._content
            if (name, kind) == (repository, "manifests") and ":" not in reference
        )
        if not names:
            return error(404, "NAME_UNKNOWN")
        links = {}
        if self.tags_per_page is not None:
            behind = [name for name in names if name > request.query.get("last", [""])[0]]
            names = behind[: self.tags_per_page]
            if len(behind) > len(names):
                links = {"Link": f'<{request.path}?last={names[-1]}>; rel="next"'}
        body = json.dumps({"name": repository, "tags": names}).encode()
        return Reply.of(200, body, "application/json", **links)

    def _challenge(self, request: Request) -> str | None:
        given = request.headers["Authorization"] or ""
        if self._demands_token:
            if given.partition(" ")[2] in self._tokens and given.startswith("Bearer "):
                return None
            found = _CONTENT.match(request.path) or _TAGS.match(request.path)
            scope = f',scope="repository:{found[1]}:pull"' if found else ""
            return f'Bearer realm="{self.realm}",service="faulty"{scope}'
        if self._account is None or given == basic(*self._account):
            return None
        return 'Basic realm="faulty"'

    def _token(self, request: Request) -> Reply:
        if self.realm_knows_nobody and request.headers["Authorization"]:
            return error(401, "UNAUTHORIZED")
        if self._account and request.headers["Authorization"] != basic(*self._account):
            return error(401, "UNAUTHORIZED")
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        body = {"token": token, "expires_in": self.token_lifetime}
        return Reply.of(200, json.dumps(body).encode(), "application/json")
