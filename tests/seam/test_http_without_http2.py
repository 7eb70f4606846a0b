"""A start without Twisted's HTTP/2."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import CHECKOUT

_LOAD = """
import importlib.util, sys
from regcache.seam.http_without_http2 import load_http
load_http()
from twisted.web import http
assert not http.H2_ENABLED
assert not {"h2", "twisted.web._http2"} & set(sys.modules)
assert importlib.util.find_spec("twisted.web._http2") is not None
load_http()
assert sys.modules["twisted.web.http"] is http
"""


class LoadingTests(SynchronousTestCase):
    """A fresh interpreter."""

    def test_left_out(self) -> None:
        """Twisted does without, and who asks for its HTTP/2 later still finds it."""
        done = subprocess.run(
            [sys.executable, "-c", _LOAD], cwd=CHECKOUT, capture_output=True, text=True, timeout=120
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
