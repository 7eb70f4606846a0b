"""What the metrics look at whenever they are read: a part of the composition root."""

import math
from collections.abc import Callable

from regcache.engine import Engine
from regcache.listener_set import ListenerSet
from regcache.reloading import Reloader
from regcache.tls import CertificateStore
from regcache.web.admission import Admission


def watch_daemon(
    engine: Engine, listeners: ListenerSet, admission: Admission, reloader: Reloader
) -> None:
    """Have them look at what changes by itself. All of it is in memory."""
    ledger = engine.ledger
    gauges: dict[str, Callable[[], float]] = {
        "ready": lambda: not engine.problems,
        "connections": lambda: admission.total,
        "connections_limit": lambda: admission.most,
        "downloads": lambda: len(engine.downloads),
        "readers": lambda: len(engine.feeding),
        "storage_bytes": lambda: ledger.used,
        "storage_limit_bytes": ledger.max_size,
        "storage_free_bytes": lambda: math.nan if ledger.free is None else ledger.free,
        "storage_min_free_bytes": ledger.min_free,
        "config_last_reload_successful": lambda: reloader.last_error is None,
        "config_last_reload_success_timestamp_seconds": lambda: reloader.loaded,
    }
    for name, value in gauges.items():
        engine.metrics.watch(name, value)
    engine.metrics.certificates.ends = lambda: certificate_ends(listeners)


def certificate_ends(listeners: ListenerSet) -> dict[str, float]:
    """When each certificate in use ends (Unix seconds), by its file; the first of those of a name.

    A file that two listeners have may be read by one of them a moment before the other.
    """
    found: dict[str, float] = {}
    for spec in listeners.specs:
        if isinstance(spec.tls, CertificateStore):
            for chain, end in spec.tls.ends.items():
                found[chain] = min(end, found.get(chain, end))
    return found
