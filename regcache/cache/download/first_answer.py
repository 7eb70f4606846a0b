"""An answer that was there before the download that it is for."""

from regcache.interfaces import IBlobBody


class FirstAnswer:
    """Holds a body that nobody has touched, from the first byte on, or none."""

    def __init__(self, body: IBlobBody | None) -> None:
        self._body = body

    def take(self, wanted: bool = True) -> IBlobBody | None:
        """The body, the first time; what is not wanted does not keep its connection waiting."""
        body, self._body = self._body, None
        if body is not None and not wanted:
            body.abort()
            return None
        return body
