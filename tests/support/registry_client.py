"""A small client of the distribution API, on the standard library: pushes images, and asks."""

import base64
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.images import Content, Image


@dataclass(frozen=True)
class Answer:
    """What came back: header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def errors(self) -> list[str]:
        """The codes of an OCI error body."""
        return [error["code"] for error in self.json()["errors"]]


class RegistryClient:
    """Talks to one registry at ``url``; every request has a connection of its own."""

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._context, self._timeout = context, timeout
        self._headers = {"Authorization": basic(*credentials)} if credentials else {}
        self._headers.update(headers or {})

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, for tests that read a body at their own pace."""
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=self._context
            )
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its whole answer."""
        connection = self.connect()
        try:
            connection.request(method, target, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, target: str, **headers: str) -> Answer:
        """GET; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", target, headers=named)

    def head(self, target: str) -> Answer:
        """HEAD."""
        return self.ask("HEAD", target)

    def push_blob(self, repository: str, blob: Content) -> None:
        """Upload a blob in one piece, unless the registry has it."""
        if self.head(f"/v2/{repository}/blobs/{blob.digest}").status == 200:
            return
        started = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        _expect(started, 202)
        place = urllib.parse.urlsplit(started.headers["location"])
        query = (place.query + "&" if place.query else "") + f"digest={blob.digest}"
        content = {"Content-Type": "application/octet-stream"}
        _expect(self.ask("PUT", f"{place.path}?{query}", blob.data, content), 201)

    def push(self, repository: str, image: Image, *tags: str) -> None:
        """Push an image with all that it mentions, and put ``tags`` on it."""
        for blob in image.all_blobs().values():
            self.push_blob(repository, blob)
        for manifest in image.all_manifests():
            self._put_manifest(repository, manifest, manifest.digest)
        for tag in tags:
            self._put_manifest(repository, image, tag)

    def _put_manifest(self, repository: str, manifest: Image, reference: str) -> None:
        content = {"Content-Type": manifest.media_type}
        target = f"/v2/{repository}/manifests/{reference}"
        _expect(self.ask("PUT", target, manifest.data, content), 201)


def basic(username: str, password: str) -> str:
    """The value of a Basic Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _expect(answer: Answer, status: int) -> None:
    if answer.status != status:
        raise AssertionError(f"{answer.status} instead of {status}: {answer.body[:500]!r}")
