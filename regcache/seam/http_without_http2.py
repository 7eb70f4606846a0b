"""``twisted.web.http`` without the HTTP/2 that comes with it.

Private: the name of the module (``twisted.web._http2``), which ``twisted.web.http`` tries to load.

Why: it loads h2, which takes 3 % of the processor time of a start, and more than a MiB of memory.
Our HTTP/2 is another one (``web/http2``), which loads h2 where a listener offers it.

Replaced by: an HTTP/2 that Twisted loads where it is asked for.
"""

import sys
from typing import cast

_NAME = "twisted.web._http2"


def load_http() -> None:
    """Load ``twisted.web.http``, as where h2 is not installed. For the start, before anything that
    imports it; later it does nothing."""
    if "twisted.web.http" in sys.modules:
        return
    modules = cast(dict[str, object], sys.modules)
    modules[_NAME] = None  # Python's mark for what cannot be imported
    try:
        import twisted.web.http  # noqa: F401
    finally:
        del modules[_NAME]
