"""A source for readers of stored content that is being hashed while it is sent.

=========  ==================================  ============================================
state      event                               what holds afterwards
=========  ==================================  ============================================
checking   the reader comes to the last bytes  the reader waits
checking   the digest is right                 whole: everything may be sent
checking   it is wrong, or a read fails        damaged: an answer that needs the last bytes
                                               is cut off
whole      the reader comes to the end         the file became shorter: the answer is cut off
any        the reader leaves                   the file is closed; the check goes on to its end
=========  ==================================  ============================================

A range that ends before the last bytes does not wait, as with content that is being fetched.
"""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.cache.download.context import WITHHELD
from regcache.cache.download.reader import FileSource, Reader
from regcache.interfaces import IContentFile

_DAMAGED = "the stored content is damaged"


class CheckedSource(FileSource):
    """The source of one reader. The last bytes are withheld until the content is verified.

    :param checking: fires with whether the content is whole.
    """

    def __init__(self, file: IContentFile, checking: "Deferred[bool]") -> None:
        super().__init__(file)
        self._whole: bool | None = None
        self._waiting: Reader | None = None
        checking.addCallbacks(self._checked, self._not_checked)

    def released(self, position: int) -> int:
        """All of the file, or all but the last bytes."""
        size = self.file.size or 0
        return size if self._whole else max(0, size - WITHHELD)

    def reader_waits(self, reader: Reader) -> None:
        """The reader needs the last bytes, or more bytes than there are."""
        if self._whole is None:
            self._waiting = reader
        elif self._whole:
            super().reader_waits(reader)
        else:
            reader.abort(_DAMAGED)

    def reader_left(self, reader: Reader) -> None:
        """The only reader left."""
        self._waiting = None
        super().reader_left(reader)

    def _checked(self, whole: bool) -> None:
        self._whole = whole
        reader, self._waiting = self._waiting, None
        if reader is not None:
            reader.step()

    def _not_checked(self, _failure: Failure) -> None:
        self._checked(False)


def source_of(file: IContentFile, checking: "Deferred[bool] | None") -> FileSource:
    """The source for a reader of stored content.

    :param checking: fires with whether it is whole, if that is being found out.
    """
    return FileSource(file) if checking is None else CheckedSource(file, checking)
