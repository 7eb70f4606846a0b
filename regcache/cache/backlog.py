"""Content that was answered with and still waits for the disk."""

#: What may wait for the disk behind the answers, of all small blobs together (bytes).
MOST_BEHIND = 8 * 1024 * 1024


class Backlog:
    """Counts its bytes, so that a slow disk slows the clients in the end."""

    def __init__(self) -> None:
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether no more may be answered before it is stored."""
        return self._bytes >= MOST_BEHIND

    def add(self, count: int) -> None:
        """So many bytes begin to wait."""
        self._bytes += count

    def remove(self, count: int) -> None:
        """They are stored, or given up."""
        self._bytes -= count
