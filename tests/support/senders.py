"""What senders need, on a clock that the test turns."""

from twisted.internet.task import Clock

from regcache.web.rounds import Rounds
from regcache.web.send_threads import SendThreads
from regcache.web.sender import Terms, Turns


def make_terms(clock: Clock, stall: float, turns: int = 10**6) -> Terms:
    """As the daemon makes them, but for how many clients have their turn at once."""
    return Terms(clock, stall, Turns(clock, turns), Rounds(clock, SendThreads(0)))
