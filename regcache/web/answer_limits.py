"""Changes the limits of answers that are under way, when an operator changes them."""

from collections.abc import Callable

from regcache.access.principals import TransferLimits
from regcache.web.pacing.pacing import Pacing
from regcache.web.request import payer_of
from regcache.web.sender import Sender


class AnswerLimits:
    """The limits of all answers that are being sent.

    :param feeding: these answers.
    """

    def __init__(self, pacing: Pacing, feeding: set[Sender]) -> None:
        self._pacing = pacing
        self._feeding = feeding

    def limit_rate(self, rate: int | None) -> None:
        """Send no more than that from now on.

        :param rate: bytes a second of all answers together; None for no limit.
        """
        self._pacing.limit(rate)
        for sender in list(self._feeding):
            sender.limit()

    def limit_accounts(self, limits: Callable[[str], TransferLimits | None]) -> None:
        """Send no more than that to accounts from now on.

        :param limits: of an account; None where it is gone: its answers go on as they were.
        """
        for sender in list(self._feeding):
            facts = sender.client.facts
            found = limits(facts.account) if facts.account else None
            if found is not None and found != facts.limits:
                facts.limits = found
                self._pacing.follow(payer_of(sender.client), found)
                sender.limit()
