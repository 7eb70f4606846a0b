"""Which URL of an upstream is being asked about which manifest at this moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from regcache.upstream.remote import Remote


class Questions:
    """The questions about manifests that are open. Their number is that of the calls."""

    def __init__(self) -> None:
        self._asking: dict[tuple[str, str], Remote] = {}

    @contextmanager
    def asking(self, remote: Remote, repository: str, reference: str) -> Iterator[None]:
        """A URL is being asked; of several questions about one manifest the latest counts."""
        key = (repository, reference)
        self._asking[key] = remote
        try:
            yield
        finally:
            self._asking.pop(key, None)

    def overdue(self, repository: str, reference: str) -> None:
        """Count the URL that is being asked about a manifest as failing."""
        remote = self._asking.get((repository, reference))
        if remote is not None:
            remote.chain.breaker.failed()
