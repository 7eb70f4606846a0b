"""The parties that share a rate, and their transfers."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from regcache.access.principals import UNLIMITED, TransferLimits
from regcache.web.pacing.bucket import Bucket
from regcache.web.pacing.line import Claimant, Line

#: How many parties are known at a time. Further anonymous ones count as one together.
MOST_PARTIES = 4096


class Member(Claimant):
    """One transfer.

    :ivar left: how many bytes it may send.
    :ivar given: how much it was given last (bytes).
    :ivar asked: whether it waits to be given bytes.
    :ivar call: called when it was given bytes after waiting.
    """

    __slots__ = ("asked", "call", "given", "is_download", "left", "over", "party")

    def __init__(self, party: "Party", is_download: bool) -> None:
        super().__init__()
        self.party = party
        self.is_download = is_download
        self.left = self.given = 0
        self.asked = self.over = False
        self.call: Callable[[], object] = lambda: None

    def give(self, count: int) -> None:
        """Let it send so many more bytes."""
        self.left += count
        self.given, self.asked = count, False


class Party(Claimant):
    """A party that shares with others: an account, or an anonymous address.

    :ivar bucket: its own rate; None without one.
    :ivar downloads: how many may be under way; None for any number.
    :ivar members: how many transfers it has.
    :ivar under_way: how many of them are downloads that are not queued.
    :ivar waiting: those that have asked, and may be given bytes.
    :ivar queued: downloads above the limit.
    :ivar set_aside: whether its own rate is used up; then it is in no line until more has accrued.
    """

    __slots__ = (
        "bucket",
        "downloads",
        "key",
        "members",
        "queued",
        "set_aside",
        "under_way",
        "waiting",
    )

    def __init__(self, key: Hashable) -> None:
        super().__init__()
        self.key = key
        self.bucket: Bucket | None = None
        self.downloads: int | None = None
        self.members = self.under_way = 0
        self.waiting: Line[Member] = Line()
        self.queued: dict[Member, None] = {}
        self.set_aside = False

    @property
    def has_place(self) -> bool:
        """Whether one more download may be under way."""
        return self.downloads is None or self.under_way < self.downloads

    def limit(self, limits: TransferLimits, now: float) -> None:
        """Change its limits."""
        self.downloads = limits.downloads
        if limits.rate is None:
            self.bucket = None
        elif self.bucket is None:
            self.bucket = Bucket(limits.rate, now)
        elif self.bucket.rate != limits.rate:
            self.bucket.change_rate(limits.rate, now)


class Parties:
    """The known parties. Those without a transfer are forgotten if others need their place.

    Little is lost by that: their rate would have filled up again within a moment.
    """

    def __init__(self, most: int = MOST_PARTIES) -> None:
        self._most = most
        self._known: dict[Hashable, Party] = {}
        # Not a BoundedTable: a party with transfers must stay, however long ago it came.
        self._idle: OrderedDict[Hashable, Party] = OrderedDict()
        self._crowd = Party(None)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: Hashable, limits: TransferLimits, now: float) -> Party:
        """The party of a key. It has these limits from now on.

        For parties with limits of their own there is always room: they are in the operator's files.
        """
        party = self._known.get(key)
        if party is None:
            if len(self._known) >= self._most and self._idle:
                del self._known[self._idle.popitem(last=False)[0]]
            if len(self._known) >= self._most and limits == UNLIMITED:
                return self._crowd
            party = self._known[key] = self._idle[key] = Party(key)
        party.limit(limits, now)
        return party

    def changed(self, party: Party) -> None:
        """A party has got a transfer, or lost one."""
        if self._known.get(party.key) is not party:
            return
        if party.members:
            self._idle.pop(party.key, None)
        else:
            self._idle[party.key] = party
