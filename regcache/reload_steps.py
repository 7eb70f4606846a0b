"""What a reload does, in two steps: a part of the composition root."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from regcache.access_control import AccessSetupError
from regcache.config.differences import changed_keys, keep_what_takes_a_restart
from regcache.config.loading import Loaded, load
from regcache.config.problems import ConfigError
from regcache.engine import Engine
from regcache.in_force import CurrentConfiguration, InForce, build_in_force
from regcache.light_dataclass import dataclass
from regcache.listener_set import BuiltListener, ListenerSet
from regcache.listening import ListenerBuilder, listener_options
from regcache.logs import LineWriter
from regcache.reloading import Reloaded, WrongConfigurationError
from regcache.tls import CertificateStore
from regcache.tls_context import CertificateError, KeyPair
from regcache.upstreams import UpstreamSetupError
from regcache.web.access_log import AccessLog
from regcache.web.listener_spec import ListenError

_UNUSABLE = (UpstreamSetupError, AccessSetupError, CertificateError)


@dataclass(frozen=True, slots=True)
class DaemonOutput:
    """What is told of the daemon's work.

    :ivar access: the lines of requests.
    """

    writer: LineWriter
    access: AccessLog

    @classmethod
    def writing_to(cls, writer: LineWriter, reactor: Any) -> "DaemonOutput":
        """The output of a daemon: the lines of requests of one turn are written together."""
        return cls(writer, AccessLog(writer, lambda flush: reactor.callLater(0, flush)))

    def follow(self, form: str, access: bool) -> None:
        """Write so from now on."""
        self.writer.is_json = form == "json"
        self.access.enabled = access


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyConfiguration:
    """A configuration that could be built.

    :ivar listeners: those that are new, or have other options.
    :ivar restart: the keys whose new values take a restart.
    """

    loaded: Loaded
    in_force: InForce
    listeners: Sequence[BuiltListener]
    restart: Sequence[str]


class ReloadSteps:
    """Checks the configuration file, and puts it in force.

    :ivar loaded: the file as it is in force.
    """

    def __init__(
        self,
        loaded: Loaded,
        engine: Engine,
        current: CurrentConfiguration,
        *,
        builder: ListenerBuilder,
        listeners: ListenerSet,
        output: DaemonOutput,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.loaded = loaded
        self._engine = engine
        self._current = current
        self._builder = builder
        self._listeners = listeners
        self._output = output
        self._environ = environ

    @property
    def closing(self) -> bool:
        """Whether the daemon is stopping."""
        return self._listeners.closing

    def check(self) -> ReadyConfiguration:
        """Read the file, and build what it means. In a thread.

        :raises WrongConfigurationError: if it cannot be used.
        """
        pairs = certificates_in_use(self._listeners)
        files = frozenset(path for each in pairs for path in (each.files.chain, each.files.key))
        try:
            loaded = load(self.loaded.name, self._environ, files)
        except ConfigError as error:
            raise WrongConfigurationError(error.lines) from None
        former = self._current.in_force
        config, restart = keep_what_takes_a_restart(former.config, loaded.config)
        try:
            in_force = build_in_force(config, self._engine, former)
            listeners = self._builder.build(config, self._listeners.options, pairs)
        except _UNUSABLE as error:
            raise _wrong(loaded, error) from None
        return ReadyConfiguration(
            loaded=loaded, in_force=in_force, listeners=listeners, restart=restart
        )

    async def apply(self, candidate: ReadyConfiguration) -> Reloaded:
        """Put it in force.

        :raises WrongConfigurationError: if a listener cannot be opened.
        """
        config = candidate.in_force.config
        changed = changed_keys(self._current.in_force.config, config)

        def take() -> None:
            limits = config.limits
            self._current.replace(candidate.in_force)
            self._engine.follow(config.storage)
            self._builder.admission.limit(limits.connections, limits.connections_per_address)
            self._listeners.limit(self._builder.limits(config))
            self._output.follow(config.log.format, config.log.access)

        try:
            await self._listeners.follow(listener_options(config), candidate.listeners, take)
        except ListenError as error:
            raise _wrong(candidate.loaded, error) from None
        known = set(self.loaded.warnings)
        warnings = [each for each in candidate.loaded.warnings if each not in known]
        self.loaded = candidate.loaded
        return Reloaded(changed, candidate.restart, warnings)


def certificates_in_use(listeners: ListenerSet) -> list[KeyPair]:
    """The certificates that some listeners show."""
    found: list[KeyPair] = []
    for spec in listeners.specs:
        if isinstance(spec.tls, CertificateStore):
            found += spec.tls.pairs
    return found


def _wrong(loaded: Loaded, error: Exception) -> WrongConfigurationError:
    """An error that begins with its key, with the line of that."""
    line = loaded.lines.get(str(error).partition(": ")[0], 1)
    return WrongConfigurationError([f"{loaded.name}:{line}: {error}"])
