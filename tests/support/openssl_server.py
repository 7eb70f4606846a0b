"""The server's end of a TLS connection that can do what pyOpenSSL and ``ssl`` cannot ask for.

By the OpenSSL of the system, between two memory BIOs.
"""

import ctypes
from pathlib import Path
from typing import Any

from OpenSSL.SSL import WantReadError

_PEM = 1
_WANT_READ = 2  # SSL_ERROR_WANT_READ
_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED: the peer has to do the same


def _library() -> Any:
    library = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_server_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


class OpenSSLServer:
    """A connection that has not shaken hands. Never freed: tests make few of them."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._library = library = _library()
        context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_server_method())))
        assert library.SSL_CTX_use_certificate_chain_file(context, bytes(chain)) == 1
        assert library.SSL_CTX_use_PrivateKey_file(context, bytes(key), _PEM) == 1
        self._ssl = ctypes.c_void_p(library.SSL_new(context))
        self._received, self._unsent = self._memory(), self._memory()
        library.SSL_set_bio(self._ssl, self._received, self._unsent)
        library.SSL_set_accept_state(self._ssl)

    def _memory(self) -> ctypes.c_void_p:
        method = ctypes.c_void_p(self._library.BIO_s_mem())
        return ctypes.c_void_p(self._library.BIO_new(method))

    def do_handshake(self) -> None:
        """Go on with the handshake. :raises WantReadError: if the client has to say something."""
        if self._library.SSL_do_handshake(self._ssl) != 1:
            raise WantReadError

    def bio_write(self, data: bytes) -> None:
        """Take what the client has sent."""
        self._library.BIO_write(self._received, data, len(data))

    def bio_read(self, most: int) -> bytes:
        """What is to be sent. :raises WantReadError: if that is nothing."""
        buffer = ctypes.create_string_buffer(most)
        count = self._library.BIO_read(self._unsent, buffer, most)
        if count <= 0:
            raise WantReadError
        return buffer.raw[:count]

    def send(self, data: bytes) -> None:
        """Encrypt something."""
        assert self._library.SSL_write(self._ssl, data, len(data)) == len(data)

    def shutdown(self) -> None:
        """Say that nothing follows."""
        self._library.SSL_shutdown(self._ssl)

    def update_keys(self) -> None:
        """Encrypt by new keys from here on, and have the client do so (RFC 8446, 4.6.3)."""
        assert self._library.SSL_key_update(self._ssl, _REQUESTED) == 1
        assert self._library.SSL_do_handshake(self._ssl) == 1

    def send_ticket(self) -> None:
        """Send another session ticket (RFC 8446, 4.6.1)."""
        assert self._library.SSL_new_session_ticket(self._ssl) == 1
        assert self._library.SSL_do_handshake(self._ssl) == 1

    def read(self) -> bytes:
        """What the client has said, decrypted."""
        buffer, data = ctypes.create_string_buffer(4096), b""
        while (count := self._library.SSL_read(self._ssl, buffer, len(buffer))) > 0:
            data += buffer.raw[:count]
        assert self._library.SSL_get_error(self._ssl, count) == _WANT_READ
        return data
