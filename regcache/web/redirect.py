"""The plain listener beside a TLS one: it redirects to https, and answers ACME challenges."""

import errno
import os
import re
import stat
from urllib.parse import quote

from twisted.internet.defer import Deferred, succeed

from regcache.interfaces import IWorkPool
from regcache.web.error_answers import BadRequestError
from regcache.web.request import Request
from regcache.web.respond import send_body, send_text

ACME_PREFIX = b"/.well-known/acme-challenge/"
MAX_CHALLENGE_BYTES = 4096
"""Bytes of a key authorisation (RFC 8555, 8.1): two short texts and a dot."""

_TOKEN = re.compile(rb"[A-Za-z0-9_-]{1,255}\Z")
_LOCATION_SAFE = "/?&=%:@!$()*+,;~-._[]"


class RedirectDispatch:
    """Answers 308 to https, and ACME challenges from a folder. A dispatcher of a site.

    :param acme_webroot: the folder that the ACME client uses as its webroot, or None.
    :param pool: reads the challenges.
    """

    def __init__(self, acme_webroot: str | None = None, pool: IWorkPool | None = None) -> None:
        self._webroot = acme_webroot
        self._pool = pool

    def __call__(self, request: Request) -> "Deferred[None]":
        """Answer one request.

        :raises BadRequestError: if the request gives no valid target for a redirect.
        """
        if self._webroot is not None and request.path.startswith(ACME_PREFIX):
            return self._answer_challenge(request)
        location = https_location(request.hostname, request.uri)
        send_text(request, "Use https.\n", status=308, headers={"Location": location})
        return succeed(None)

    def _answer_challenge(self, request: Request) -> "Deferred[None]":
        token = request.path.removeprefix(ACME_PREFIX)
        if self._pool is None or self._webroot is None or not _TOKEN.match(token):
            send_text(request, "Not found.\n", status=404)
            return succeed(None)
        folder = os.path.join(self._webroot, ACME_PREFIX.decode("ascii").strip("/"))
        reading: Deferred[bytes | None] = self._pool.run(
            read_challenge, os.path.join(folder, token.decode("ascii"))
        )
        return reading.addCallback(self._send_challenge, request)

    def _send_challenge(self, content: bytes | None, request: Request) -> None:
        if content is None:
            send_text(request, "Not found.\n", status=404)
        else:
            send_body(request, content, "application/octet-stream")


def https_location(host: str | None, uri: bytes) -> str:
    """The URL of the same target on https, percent-encoded where a header needs it.

    :param host: normalised, without port; an IPv6 address without brackets.
    :param uri: the raw request target, in origin form.
    :raises BadRequestError: for a missing host or another form of target.
    """
    if host is None or not uri.startswith(b"/"):
        raise BadRequestError("this request cannot be redirected")
    authority = f"[{host}]" if ":" in host else host
    return f"https://{authority}{quote(uri, safe=_LOCATION_SAFE)}"


def read_challenge(path: str) -> bytes | None:
    """Read a small regular file; None if there is none. Blocks.

    :raises OSError: for other faults than absence.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = os.read(descriptor, MAX_CHALLENGE_BYTES + 1)
    finally:
        os.close(descriptor)
    return content if len(content) <= MAX_CHALLENGE_BYTES else None
