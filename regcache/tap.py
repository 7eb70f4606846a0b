"""``twistd regcache``: options, and the service they stand for."""

import os
from typing import Any

from twisted.application.service import IService
from twisted.internet import reactor as _reactor
from twisted.python import usage

from regcache import __version__
from regcache.collecting import spare_what_is_there, without_collections
from regcache.config.loading import Loaded, load
from regcache.config.problems import ConfigError
from regcache.seam.http_without_http2 import load_http
from regcache.service_manager import refuse_clients


class Options(usage.Options):
    """The command line."""

    optParameters = [
        ["config", "c", "/etc/regcache.yml", "The configuration file."],
    ]

    loaded: Loaded

    def opt_version(self) -> None:
        """Print the version of regcache, and exit."""
        print(f"regcache {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Load the configuration before anything else happens.

        :raises SystemExit: with lines for standard error, and the exit status 1.
        """
        try:
            self.loaded = load(self["config"], os.environ)
        except ConfigError as error:
            refuse_clients()
            raise SystemExit("\n".join(error.lines)) from None


def makeService(options: Options) -> IService:
    """Build the daemon that a configuration describes."""
    reactor: Any = _reactor
    with without_collections():
        load_http()
        # The rest of the program, and most of what it takes to start.
        from regcache.process import build_process

        try:
            return build_process(options.loaded, reactor)
        except SystemExit:
            refuse_clients()
            raise
        finally:
            # Else the first collection would walk over all of it.
            spare_what_is_there()
