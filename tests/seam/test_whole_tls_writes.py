"""The mode of TLS contexts."""

from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.whole_tls_writes import PARTIAL_WRITE, take_whole_writes


class _Older:
    """A context as pyOpenSSL had it before 25.1."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = vars(context)["_context"]


class ModeTests(SynchronousTestCase):
    """Partial writes."""

    def setUp(self) -> None:
        self.context: Any = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.set_mode(SSL.MODE_RELEASE_BUFFERS | PARTIAL_WRITE)

    def is_partial(self) -> bool:
        """Whether a write may be taken in part; to set no mode tells which are set."""
        return bool(self.context.set_mode(0) & PARTIAL_WRITE)

    def test_off(self) -> None:
        """Partial writes are turned off, and no other mode is."""
        self.assertTrue(self.is_partial())
        take_whole_writes(self.context)
        self.assertFalse(self.is_partial())
        self.assertTrue(self.context.set_mode(0) & SSL.MODE_RELEASE_BUFFERS)

    def test_older(self) -> None:
        """So they are where pyOpenSSL has no name for it."""
        if not hasattr(vars(SSL)["_lib"], "SSL_CTX_clear_mode"):
            raise SkipTest("this library has no such function")
        take_whole_writes(_Older(self.context))
        self.assertFalse(self.is_partial())

    def test_without(self) -> None:
        """Where there is no way at all the context stays as it is."""
        library = SimpleNamespace(SSL_CTX_set_mode=vars(SSL)["_lib"].SSL_CTX_set_mode)
        self.patch(SSL, "_lib", library)
        take_whole_writes(_Older(self.context))
        self.assertTrue(self.is_partial())
