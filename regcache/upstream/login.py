"""The identity to use for an upstream: the configured one, unless it was refused a moment ago."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.interfaces import IUpstreamMeter
from regcache.upstream.credentials import ANONYMOUS, Identity, identity_of

RETRY_SECONDS = 60.0

CredentialsSource = Callable[[], tuple[str, str] | None]


class Login:
    """The credentials of one URL of an upstream, and whether they are accepted.

    If they are refused, that is logged once a minute, and requests are anonymous until they are
    tried again.

    :param source: gives the credentials as configured now, or None. Called for each request. None
        where none are configured.
    :ivar always_anonymous: whether none are.
    """

    _log = Logger()

    def __init__(
        self,
        upstream: str,
        source: CredentialsSource | None,
        clock: IReactorTime,
        meter: IUpstreamMeter,
    ) -> None:
        self._upstream = upstream
        self._source = source
        self.always_anonymous = source is None
        self._clock = clock
        self._meter = meter
        self._current = ANONYMOUS
        self._refused_until = 0.0
        self._accepted: bool | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the realm accepted the configured credentials last time; None if not known."""
        return None if self.configured.is_anonymous else self._accepted

    @property
    def configured(self) -> Identity:
        """The configured identity, even if it was refused."""
        pair = None if self._source is None else self._source()
        if pair is None:
            return ANONYMOUS
        if pair != (self._current.username, self._current.password):
            self._current = identity_of(*pair)
            self._refused_until = 0.0
            self._accepted = None
        return self._current

    def identity(self, anonymous: bool) -> Identity:
        """The identity for the next request."""
        if anonymous:
            return ANONYMOUS
        configured = self.configured
        if self._clock.seconds() < self._refused_until:
            return ANONYMOUS
        return configured

    def is_mere_denial(self, identity: Identity, status: int) -> bool:
        """Whether a realm's refusal concerns what was asked for, and not the credentials.

        401 concerns the credentials. Some realms answer 403 for a repository that good credentials
        may not read; credentials count as good if they were accepted before.
        """
        return status == 403 and identity == self._current and self._accepted is True

    def accepted(self, identity: Identity) -> None:
        """Note that an identity was accepted."""
        if identity.is_anonymous or identity != self._current or self._accepted:
            return
        self._accepted = True
        self._meter.credentials_state(self._upstream, True)

    def refused(self, identity: Identity) -> None:
        """Note that an identity was refused: requests are anonymous for a minute."""
        if identity != self._current:
            return
        now = self._clock.seconds()
        if now >= self._refused_until:
            self._log.warn(
                "the credentials for {upstream} are refused; going on without them",
                upstream=self._upstream,
            )
        self._refused_until = now + RETRY_SECONDS
        self._accepted = False
        self._meter.credentials_state(self._upstream, False)
