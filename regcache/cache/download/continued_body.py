"""The body of a relayed blob: one answer of an upstream, continued by others if it breaks off.

========  ==========================  ====================================================
state     event                       what holds afterwards
========  ==========================  ====================================================
waiting   delivered                   flowing
flowing   bytes that are new          flowing; they are passed on
flowing   ends where the blob does    over
flowing   breaks off, or ends before  pausing; if the last byte has come: over
pausing   the pause is over           asking, from after the last byte that came
pausing   the same, while the client  pausing, until it takes more: the upstream might close the
          takes nothing               connection again before anything is read
asking    a fitting answer            flowing; bytes that had come before are skipped
asking    a refusal, or an answer     pausing, by the rules of :mod:`retries`
          that does not fit
asking    nothing follows, of a blob  pausing; then it is asked for from the beginning, since
          of unknown size             only a whole answer shows where the end is
any       tries are used up           over; the consumer is told the failure
any       aborted                     over; the consumer is told nothing
========  ==========================  ====================================================

The rules are those of a fill: an answer begins where it was asked for, or at 0, and must not
contradict the size. Whether the pieces belong together is decided by the digest, as always.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.cache.download.context import RANGE_NOT_SATISFIABLE, BlobSource
from regcache.cache.download.retries import Retries
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody, IBodyConsumer


@implementer(IBodyConsumer)
class ContinuedBody:
    """Delivers a blob from its first byte on, from several answers if needed.

    :ivar size: of the blob (bytes), or None if it is not known.
    :ivar size_is_stated: whether an answer says so, not a manifest alone.
    :ivar url_indexes: the indexes of the URLs that gave bytes.
    """

    _log = Logger()

    def __init__(
        self,
        digest: Digest,
        source: BlobSource,
        first: IBlobBody,
        *,
        size: int | None,
        skip: frozenset[int],
        clock: IReactorTime,
        random: Callable[[], float],
    ) -> None:
        """
        :param first: an answer that begins at 0.
        :param skip: the indexes of the URLs that must not be asked.
        :param random: gives a number in [0, 1), for jitter.
        """
        self.size = size
        self.size_is_stated = first.size is not None
        self.url_indexes = {first.url_index}
        self._digest = digest
        self._source = source
        self._body: IBlobBody | None = first
        self._asking: Deferred[IBlobBody] | None = None
        self._consumer: IBodyConsumer | None = None
        self._incoming = self._position = 0
        self._paused = self._due = self._asks_whole = False
        self._over = False
        self._retries = Retries(
            clock,
            random,
            digest=digest,
            distrusted=skip,
            url_count=source.registry.url_count,
        )

    def deliver(self, consumer: IBodyConsumer) -> None:
        """Begin to deliver."""
        self._consumer = consumer
        if self._body is not None:
            self._body.deliver(self)

    def pause(self) -> None:
        """Deliver no more for now. Idempotent."""
        self._paused = True
        if self._body is not None:
            self._body.pause()

    def resume(self) -> None:
        """Go on. Idempotent."""
        self._paused = False
        if self._body is not None:
            self._body.resume()
        elif self._due:
            self._ask()

    def abort(self) -> None:
        """End it. The consumer is not told anything any more. Idempotent."""
        self._close()
        body, self._body = self._body, None
        asking, self._asking = self._asking, None
        if body is not None:
            body.abort()
        if asking is not None:
            asking.cancel()

    def body_chunk(self, data: bytes) -> None:
        """Pass on the new bytes of a chunk."""
        if self._consumer is None:
            return
        passed, end = self._position - self._incoming, self._incoming + len(data)
        if self.size is not None and end > self.size:
            self._break("more bytes than announced")
            return
        self._incoming = end
        if end > self._position:
            self._position = end
            self._consumer.body_chunk(data[passed:] if passed else data)

    def body_ended(self) -> None:
        """An answer has ended: so does the blob, if all of it has come."""
        end = self._position if self.size is None else self.size
        if self._incoming < end:
            self._break("the body ended early")
        elif (consumer := self._close()) is not None:
            consumer.body_ended()

    def body_failed(self, failure: UpstreamFailure) -> None:
        """An answer broke off: ask for the rest."""
        body, self._body = self._body, None
        if self._incoming == self.size:
            self.body_ended()  # what failed is behind the last byte
        elif self._consumer is not None:
            self._retries.broke_off(None if body is None else body.url_index)
            self._lost(failure, again=True)

    def _break(self, reason: str) -> None:
        if self._body is not None:
            self._body.abort()
        self.body_failed(UpstreamBadAnswer(self._source.registry.name, reason))

    def _close(self) -> IBodyConsumer | None:
        self._over, self._due = True, False
        self._retries.cancel()
        consumer, self._consumer = self._consumer, None
        return consumer

    def _ask(self) -> None:
        self._due = self._paused
        if self._paused:
            return
        start = 0 if self._asks_whole else self._position
        registry, skip = self._source.registry, self._retries.skipped()
        self._asking = asking = registry.get_blob(
            self._source.repository.name, self._digest, start, skip=skip, relayed=True
        )
        asking.addCallbacks(self._answered, self._refused)
        asking.addErrback(self._failed)

    def _answered(self, body: IBlobBody) -> None:
        self._asking = None
        reason = "" if self._over else self._reason_against(body)
        if self._over or reason:
            body.abort()
        if reason:
            failure = UpstreamBadAnswer(self._source.registry.name, reason)
            failure.url_index = body.url_index
            self._turned_down(failure)
        elif not self._over:
            self._body, self._incoming = body, body.start
            self.url_indexes.add(body.url_index)
            self.size_is_stated |= body.size is not None
            if self._paused:
                body.pause()
            body.deliver(self)

    def _reason_against(self, body: IBlobBody) -> str:
        """Why an answer cannot continue the body; "" if it can."""
        if body.start not in (self._position, 0):
            return "it sent another range than was asked for"
        if body.size is None:
            # Of a URL that gave nothing a 200 alone proves nothing.
            known = body.url_index in self.url_indexes
            return "" if known else "it does not say the size of what has come"
        if body.size < self._position or self.size not in (None, body.size):
            return f"a size of {body.size} bytes instead of {self.size or self._position}"
        return ""

    def _refused(self, failure: Failure) -> None:
        self._asking = None
        if self._over:
            return
        value = failure.value
        if not isinstance(value, UpstreamFailure):
            failure.raiseException()
        if value.status == RANGE_NOT_SATISFIABLE and self.size is None:
            self._asks_whole = True
        self._turned_down(value)

    def _turned_down(self, failure: UpstreamFailure) -> None:
        self._lost(failure, again=self._retries.refused(failure, self.url_indexes))

    def _lost(self, failure: UpstreamFailure, again: bool) -> None:
        """Ask again after a pause, if that makes sense, or give up."""
        if not (again and self._retries.count(self._position, answered=True)):
            self._give_up(failure)
        else:
            self._retries.pause(failure, self._ask)

    def _give_up(self, failure: UpstreamFailure) -> None:
        consumer = self._close()
        if consumer is not None:
            consumer.body_failed(failure)

    def _failed(self, failure: Failure) -> None:
        """There was an internal fault: log it and end."""
        self._log.failure("passing {digest} on failed", failure, digest=self._digest)
        name = self._source.registry.name
        self._give_up(UpstreamBadAnswer(name, "passing it on failed"))
