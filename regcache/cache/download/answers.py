"""Checks the answers of upstreams against what was asked for, and against what is here already."""

from regcache.cache.download.context import DownloadTask, Fetched
from regcache.cache.download.target import FillTarget
from regcache.errors import UpstreamBadAnswer, UpstreamFailure
from regcache.interfaces import IBlobBody

#: The media type of a page for people. No registry gives it to a blob.
PAGE_TYPE = "text/html"
#: Why such an answer is refused.
A_PAGE = "it shows a page instead of the blob"


class SizeConflict(UpstreamBadAnswer):
    """An answer states another size than the one for which the present bytes were fetched."""


def is_page_instead(body: IBlobBody, size: int | None) -> bool:
    """Whether an answer is plainly a page for people, as a captive portal gives.

    :param size: bytes of the blob as a manifest says, or None.
    """
    return body.media_type == PAGE_TYPE and (size is None or body.size != size)


class Answers:
    """The answers whose bytes are in one file.

    :ivar count: how many there are.
    :ivar url_indexes: the indexes of the URLs that gave them.
    :ivar credentials: the fingerprint of the credentials of the last one.
    :ivar page: whether the last one is plainly a page for people instead.
    """

    def __init__(self, target: FillTarget, task: DownloadTask) -> None:
        self.count = 0
        self.url_indexes: set[int] = set()
        self.credentials = ""
        self.page = False
        self._target = target
        self._file = target.file
        self._task = task
        self._size_is_stated = self._file.size is not None

    def check(self, body: IBlobBody, asked: int) -> int | None:
        """Check the head of an answer before a byte of it is taken.

        What a manifest says of the size is a hint. The answer counts, and in the end the digest.

        :param asked: the offset from which on it was asked for.
        :returns: the size of the whole content, if the answer or a manifest states it.
        :raises SizeConflict: if it contradicts what is here.
        :raises UpstreamBadAnswer: if it contradicts what was asked for, or is plainly a page.
        """
        upstream, mentioned = self._task.upstream.name, self._target.mentioned_size
        if mentioned is not None and is_page_instead(body, mentioned):
            raise UpstreamBadAnswer(upstream, A_PAGE)
        if body.start not in (asked, 0):
            raise UpstreamBadAnswer(upstream, "it sent another range than was asked for")
        size = mentioned if body.size is None else body.size
        if body.size is None and self._file.present and body.url_index not in self.url_indexes:
            # The present bytes may have come through another repository, or from another URL, and
            # a 200 alone proves nothing.
            raise SizeConflict(upstream, "it does not say the size of what is here")
        if size is None:
            return None
        here = self._file.present.end
        if self._file.size not in (None, size) or here > size:
            known = self._file.size or here
            raise SizeConflict(upstream, f"a size of {size} bytes instead of {known}")
        return size

    def is_credible(self, failure: UpstreamFailure) -> bool:
        """Whether it comes from a URL that gave the present bytes, if that is known."""
        given, url_index = self.url_indexes, failure.url_index
        return url_index is None or not given or url_index in given

    def nothing_at(self, position: int, failure: UpstreamFailure) -> SizeConflict:
        """The failure if an upstream has no byte at a position where bytes are missing.

        Either its content has another size, or the size is not known: then only a whole answer can
        show where the end is.
        """
        conflict = SizeConflict(failure.upstream, f"it has no byte at {position}")
        conflict.url_index = failure.url_index
        return conflict

    def deny_mention(self, failure: UpstreamFailure) -> bool:
        """Whether a manifest alone states the size, and the answers could not be made to fit it.

        :param failure: for which the upstream is given up.
        """
        mentioned = self._target.mentioned_size is not None and not self._size_is_stated
        return mentioned and self.count > 0 and isinstance(failure, UpstreamBadAnswer)

    def take(self, body: IBlobBody) -> None:
        """Count an answer whose bytes are going to be written."""
        self.count += 1
        self.url_indexes.add(body.url_index)
        self.credentials = body.credentials
        self._size_is_stated |= body.size is not None
        self.page = is_page_instead(body, self._target.mentioned_size)
        if body.credentials:
            self._file.anonymous = False

    def result(self) -> Fetched:
        """The facts for the index, when all bytes were verified."""
        file, source = self._file, self._task.source
        return Fetched(
            file.digest,
            file.size or 0,
            source=source,
            credentials=self.credentials,
            public=file.anonymous,
            began=self._task.generation,
        )
