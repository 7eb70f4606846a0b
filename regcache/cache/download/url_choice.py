"""Which of an upstream's URLs a download asks."""


class UrlChoice:
    """Leaves alone the URLs that lied, and for the next question the one that just broke.

    :param lied: indexes of URLs that gave wrong bytes under this digest before.
    :param count: how many URLs there are.
    """

    def __init__(self, lied: frozenset[int], count: int) -> None:
        self._lied = lied
        self._count = count
        self._broken: frozenset[int] = frozenset()

    def broke(self, index: int | None) -> None:
        """The answer of a URL broke off; None where it is not known which one's."""
        self._broken = frozenset() if index is None else frozenset([index])

    def skipped(self) -> frozenset[int]:
        """The URLs that are not to be asked now."""
        both = self._lied | self._broken
        return both if len(both) < self._count else self._lied
