"""Content that was answered with and still waits for the disk."""

#: What may wait for the disk behind the answers, of all small blobs together (bytes).
MOST_BEHIND = 8 * 1024 * 1024
#: What a blob that waits costs in memory beside its content (bytes): it may be of one byte.
OVERHEAD = 4096


class Backlog:
    """Counts its bytes, so that a slow disk slows the clients, and the upstreams, in the end."""

    def __init__(self) -> None:
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether no more may be answered before it is stored."""
        return self._bytes >= MOST_BEHIND

    def add(self, count: int) -> None:
        """A blob of so many bytes begins to wait."""
        self._bytes += count + OVERHEAD

    def remove(self, count: int) -> None:
        """It is stored, or given up."""
        self._bytes -= count + OVERHEAD
