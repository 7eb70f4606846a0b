"""TLS writes that are taken whole.

Private: ``_lib`` of pyOpenSSL, and ``_context`` of its contexts.

Why: one write shall make as many records as it takes, instead of one (SSL_CTX_set_mode(3)).
pyOpenSSL turns partial writes on, and before 25.1 has no name for turning them off.

Replaced by: ``Context.clear_mode``, once pyOpenSSL 25.1 is the oldest that is supported.
"""

from typing import Any

from OpenSSL import SSL

PARTIAL_WRITE = 1  # SSL_MODE_ENABLE_PARTIAL_WRITE of openssl/ssl.h


def take_whole_writes(context: Any) -> None:
    """Turn partial writes off.

    :param context: of pyOpenSSL. It stays as it is where its library has no way to do so;
        :mod:`regcache.seam.tls_stream` works then, too, one record at a time.
    """
    if hasattr(context, "clear_mode"):
        context.clear_mode(PARTIAL_WRITE)
    else:
        library: Any = getattr(SSL, "_lib", None)
        if hasattr(library, "SSL_CTX_clear_mode"):
            library.SSL_CTX_clear_mode(context._context, PARTIAL_WRITE)
