"""What senders need, on a clock that the test turns."""

from twisted.internet.task import Clock

from regcache.web.sender import Terms
from regcache.web.turns import Turns


def make_terms(clock: Clock, stall: float) -> Terms:
    """As the daemon makes them."""
    return Terms(clock, stall, Turns(clock))
