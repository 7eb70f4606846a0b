"""Fair sharing of a rate: first between parties, then between the transfers of each of them.

A party is an account, or an anonymous address. It may have a rate of its own, and a limit of
downloads at a time. A member is one transfer: it asks before it sends, is given some bytes, and
asks again when they are sent. All members together have a rate, too. Everything here is pure: the
time is an argument, and there are no callbacks.

=========  =============================  ===============================================
a member   event                          what holds afterwards
=========  =============================  ===============================================
new        its party has as many          queued
           downloads as it may
new        it has not                     idle
queued     it asks                        queued; that it has asked is noted
queued     another download has ended     idle; or waiting, if it has asked
idle       it asks, none is before it,    holding
           and enough has accrued
idle       it asks otherwise              waiting
waiting    its turn, and enough accrued   holding
holding    all is spent                   idle
any        it ends                        over: its bytes and its place are given back
=========  =============================  ===============================================

The next turn is that of the party that was given least, and of that member in it that was given
least. Parties that were idle get only little of what they did not use. A party that has used up its
own rate is set aside until more has accrued.

At each turn a member is given its share of what accrues in a :data:`PERIOD`. So no member waits
longer than twice that time, however many share a rate; and fast transfers do not ask often.
"""

import heapq
import itertools
from math import inf

from regcache.web.pacing.bucket import Bucket
from regcache.web.pacing.line import Line
from regcache.web.pacing.parties import Member, Party

#: How often each member has its turn, about, if all want more than there is (seconds).
PERIOD = 0.125
#: How much a member is given at a time (bytes), unless less accrues in a period.
LEAST = 1024
MOST = 8 * 1024 * 1024


class FairShare:
    """Gives bytes to members, as they accrue.

    :param rate: bytes a second for all together; None without such a limit.
    :param now: seconds of a clock that does not go back, as everywhere here.
    :ivar rate: what it is now.
    """

    def __init__(self, rate: int | None, now: float) -> None:
        self.rate = rate
        self._all = None if rate is None else Bucket(rate, now)
        self._line: Line[Party] = Line()
        # By the time when more has accrued. The numbers are there so that parties are not compared.
        self._set_aside: list[tuple[float, int, Party]] = []
        self._numbers = itertools.count()
        self._now = now

    def change_rate(self, rate: int | None, now: float) -> None:
        """Change the rate."""
        self.rate = rate
        if rate is None:
            self._all = None
        elif self._all is None:
            self._all = Bucket(rate, now)
        else:
            self._all.change_rate(rate, now)

    def join(self, party: Party, is_download: bool) -> Member:
        """A transfer begins."""
        member = Member(party, is_download)
        party.members += 1
        if is_download and not party.has_place:
            party.queued[member] = None
        elif is_download:
            party.under_way += 1
        return member

    def leave(self, member: Member, now: float) -> None:
        """A transfer has ended, or was cut. Idempotent."""
        if member.over:
            return
        member.over = True
        party = member.party
        party.members -= 1
        if member in party.queued:
            del party.queued[member]
        elif member.is_download:
            party.under_way -= 1
        party.waiting.remove(member)
        if not party.waiting:
            self._line.remove(party)
        self._give_back(member)
        self.admit(party, now)

    def renew(self, party: Party, now: float) -> None:
        """The limits of a party have changed: nothing waits for what is due by the former ones."""
        if party.set_aside:
            party.set_aside = False
            self._set_aside = sorted(each for each in self._set_aside if each[2] is not party)
            self._line_up(party, now)
        self.admit(party, now)

    def admit(self, party: Party, now: float) -> None:
        """Let queued downloads begin if there is a place for them."""
        while party.queued and party.has_place:
            member = next(iter(party.queued))
            del party.queued[member]
            party.under_way += 1
            if member.asked:
                self._wait(member, now)

    def ask(self, member: Member, now: float) -> bool:
        """A member wants to send. Returns whether it may now; else it gets bytes in its turn."""
        if member.asked:
            return False
        member.asked = True
        if member in member.party.queued:
            return False
        self._wait(member, now)
        self._pass_time(now)
        head = self._head(now)
        return head is not None and head[0] is member and self._give(*head, now)

    def distribute(self, now: float) -> list[Member]:
        """Give accrued bytes to the members whose turn it is. Returns those members."""
        self._pass_time(now)
        given = []
        while (head := self._head(now)) is not None and self._give(*head, now):
            given.append(head[0])
        return given

    def due(self, now: float) -> float | None:
        """Seconds until a member can be given bytes; None if none waits."""
        self._pass_time(now)
        head = self._head(now)
        times = [self._set_aside[0][0] - now] if self._set_aside else []
        if head is not None:
            times.append(0.0 if self._all is None else self._all.seconds_until(head[1]))
        return max(0.0, min(times)) if times else None

    def charge(self, party: Party, count: int, now: float) -> bool:
        """Let a party send a little out of turn, on account of what accrues later.

        :returns: False if more was sent already than has accrued: then it must wait for its turn.
        """
        buckets = self._buckets(party, now)
        if any(bucket.level <= 0 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take(count)
        self._line.charge(party, count)
        return True

    def _buckets(self, party: Party, now: float) -> list[Bucket]:
        """The buckets from which a party's bytes are taken, filled."""
        buckets = [bucket for bucket in (self._all, party.bucket) if bucket is not None]
        for bucket in buckets:
            bucket.fill(now)
        return buckets

    def _wait(self, member: Member, now: float) -> None:
        party = member.party
        party.waiting.add(member, now, credit=member.given)
        if not (party.in_line or party.set_aside):
            self._line_up(party, now)

    def _line_up(self, party: Party, now: float) -> None:
        if not party.waiting:
            return
        rate = 0 if self._all is None else self._all.rate
        self._line.add(party, now, credit=rate * PERIOD / (len(self._line) + 1))

    def _pass_time(self, now: float) -> None:
        """Put parties back into the queue whose own rate has brought something.

        All of them, if the clock was set back: it is not known how much has accrued then.
        """
        is_set_back, self._now = now < self._now, now
        if self._all is not None:
            self._all.fill(now)
        while self._set_aside:
            moment, _, party = self._set_aside[0]
            if moment > now and party.waiting and not is_set_back:
                return
            heapq.heappop(self._set_aside)
            party.set_aside = False
            self._line_up(party, now)

    def _head(self, now: float) -> tuple[Member, int] | None:
        """The member whose turn it is, and how much it is to be given."""
        while (party := self._line.first(now)) is not None:
            member = party.waiting.first(now)
            assert member is not None, "who stands in line wants something"
            size = self._size(member, now)
            pause = 0.0 if party.bucket is None else party.bucket.seconds_until(size)
            if not pause:
                return member, size
            self._line.remove(party)
            party.set_aside = True
            heapq.heappush(self._set_aside, (now + pause, next(self._numbers), party))
        return None

    def _size(self, member: Member, now: float) -> int:
        """How much a member is to be given: its share of what accrues in a period."""
        party = member.party
        whole = part = level = float(MOST)
        if self._all is not None:
            whole, level = self._all.rate * PERIOD, self._all.level
            part = whole / self._line.active
        if party.bucket is not None:
            party.bucket.fill(now)
            own = party.bucket.rate * PERIOD
            whole, part, level = min(whole, own), min(part, own), min(level, party.bucket.level)
        part /= party.waiting.active
        if not member.given:
            # The first bytes do not wait for more of them.
            part = min(part, level)
        return max(1, int(min(max(LEAST, part), whole, MOST)))

    def _give(self, member: Member, size: int, now: float) -> bool:
        """Give the first member its bytes, if so many have accrued."""
        party = member.party
        if self._all is not None and self._all.level < size:
            return False
        for bucket in self._buckets(party, now):
            bucket.take(size)
        party.waiting.serve(member, size, now)
        self._line.serve(party, size, now)
        if party.waiting:
            self._line.add(party, now, credit=inf)  # it was not away
        member.give(size)
        return True

    def _give_back(self, member: Member) -> None:
        left, member.left = member.left, 0
        if left:
            for bucket in (self._all, member.party.bucket):
                if bucket is not None:
                    bucket.give_back(left)
            self._line.charge(member.party, -left)
