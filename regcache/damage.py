"""What was found to be damaged of what is stored."""


class DamageRecord:
    """Counts it.

    :ivar count: contents since the start, or since all was last found to be right.
    :ivar last: when the last one was found (Unix seconds); None where there is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: float | None = None

    def found(self, now: float) -> None:
        """Another one, wherever it was found.

        :param now: Unix seconds.
        """
        self.count += 1
        self.last = now

    def clear(self) -> None:
        """All that is stored is right."""
        self.count, self.last = 0, None
