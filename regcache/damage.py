"""Counts stored contents that were found to be damaged."""


class DamageRecord:
    """Counts damaged contents.

    :ivar count: since the start, or since a verification of everything last found no damage.
    :ivar last: when the last one was found (Unix seconds); None if there is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: float | None = None

    def found(self, now: float) -> None:
        """Count another one.

        :param now: Unix seconds.
        """
        self.count += 1
        self.last = now

    def clear(self) -> None:
        """Begin anew: a verification of everything found no damage."""
        self.count, self.last = 0, None
