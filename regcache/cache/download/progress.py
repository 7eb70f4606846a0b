"""How far a download is: a plain value."""

from collections.abc import Hashable, Sequence
from dataclasses import KW_ONLY

from regcache.cache.download.download import Download
from regcache.cache.download.target import FillTarget
from regcache.identity import RepositoryContent
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is.

    :ivar content: with the repository through which it is fetched.
    :ivar size: of the whole content (bytes); None if it is not known yet.
    :ivar here: bytes that are present.
    :ivar intervals: which ones, sorted.
    :ivar state: waiting for an answer, running, or verifying what is here.
    :ivar url: of the upstream that answered last; "" before one did.
    :ivar started: Unix seconds.
    :ivar readers: the readers of it, each as what its sender knows it by.
    """

    content: RepositoryContent
    _: KW_ONLY
    size: int | None
    here: int
    intervals: Sequence[tuple[int, int]]
    state: str
    url: str
    started: float
    readers: Sequence[Hashable]


def progress_of(download: Download) -> Progress:
    """How far a download is."""
    task = download.task
    target = download.target if download.is_open else None
    index = None if target is None else target.url_index
    return Progress(
        RepositoryContent(task.source.repository, task.digest),
        size=task.expected_size if download.size is None else download.size,
        here=0 if target is None else target.file.present.total,
        intervals=() if target is None else tuple(target.file.present),
        state=_state(target),
        url="" if index is None else task.upstream.urls[index],
        started=task.began,
        readers=list(download.readers),
    )


def _state(target: FillTarget | None) -> str:
    if target is not None and target.is_complete:
        return "verifying"
    return "running" if target is not None and target.answered else "waiting"
