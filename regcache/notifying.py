"""Puts together what tells ``notify.url``: a part of the composition root."""

from collections.abc import Iterator

from regcache.admin.notifications.conditions import Condition, Occurrence
from regcache.admin.notifications.notifier import Notifier, NotifySettings
from regcache.admin.notifications.webhook import Webhook
from regcache.daemon_metrics import certificate_ends
from regcache.engine import Engine
from regcache.facts import in_units
from regcache.in_force import CurrentConfiguration
from regcache.listener_set import ListenerSet
from regcache.upstream_health import UpstreamHealth

#: Seconds before its end at which a certificate is told of.
ENDS_SOON = 7 * 86400.0


def build_notifier(
    engine: Engine, current: CurrentConfiguration, listeners: ListenerSet
) -> Notifier:
    """Make it."""
    sources = _Sources(engine, current, listeners)
    return Notifier(
        sources.settings,
        sources.present,
        sources.damages,
        post=Webhook(engine.reactor).post,
        clock=engine.reactor,
        told=engine.metrics.notified,
    )


class _Sources:
    """What holds now, of what is in memory."""

    def __init__(
        self, engine: Engine, current: CurrentConfiguration, listeners: ListenerSet
    ) -> None:
        self._engine = engine
        self._current = current
        self._listeners = listeners

    def settings(self) -> NotifySettings:
        """Whom to tell, by the configuration then in force."""
        notify = self._current.in_force.config.notify
        return NotifySettings(notify.url, notify.on)

    def present(self) -> Iterator[Condition]:
        """All conditions that hold now."""
        yield from self._disk()
        for health in self._current.in_force.health():
            yield from _upstream(health)
        yield from self._certificates()
        yield from self._quotas()

    def damages(self) -> Iterator[Occurrence]:
        """How often there were wrong bytes."""
        metrics = self._engine.metrics
        text = "{count} stored contents were damaged, and are removed"
        yield Occurrence("corruption", "disk", text, metrics.damaged)
        for upstream, count in list(metrics.mismatches.items()):
            text = "it gave {count} contents that fail their digest"
            yield Occurrence("corruption", upstream, text, count)

    def _disk(self) -> Iterator[Condition]:
        problems, ledger = self._engine.problems, self._engine.ledger
        if not problems and ledger.shortfall() > ledger.used:
            problems = [ledger.why_not(1)]
        if problems:
            why = "; ".join(problems)
            yield Condition("disk", "", f"new content is not kept: {why}")

    def _certificates(self) -> Iterator[Condition]:
        now = self._engine.reactor.seconds()
        for chain, end in certificate_ends(self._listeners).items():
            if end <= now:
                yield Condition("certificate", chain, "it has ended: no client will connect")
            elif end - now < ENDS_SOON:
                days = int((end - now) // 86400)
                yield Condition("certificate", chain, f"it ends in {days} days: renew it")

    def _quotas(self) -> Iterator[Condition]:
        access = self._current.in_force.access
        if access is None:
            return
        book = self._engine.metering.book
        for seat in access.access.accounts.seats.values():
            reached = book.reached(seat)
            if reached is not None:
                text = f"the {reached.name} quota of {in_units(reached.limit)} is used up"
                yield Condition("quota", seat.name, text)


def _upstream(health: UpstreamHealth) -> Iterator[Condition]:
    if health.credentials_ok is False:
        key = f"upstreams.{health.name}.username"
        text = f"it refuses our credentials, and is asked without them: look at {key}"
        yield Condition("credentials", health.name, text)
    if health.urls and all(url.breaker != "closed" for url in health.urls):
        error = health.urls[0].last_error
        why = f": {error.text}" if error is not None else ""
        yield Condition("upstream_down", health.name, f"it cannot be asked{why}")
