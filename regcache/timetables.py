"""When something is done that is done again and again."""

from datetime import datetime

from cronsim import CronSim

from regcache.facts import CronLine


def next_time(every: float | CronLine, now: float) -> float:
    """The next time (Unix seconds): so many seconds from now, or when a cron line says so.

    A cron line is in local time. An hour that a clock change leaves out or repeats has its turn
    once.
    """
    if not isinstance(every, CronLine):
        return now + every
    for moment in CronSim(every.expression, datetime.fromtimestamp(now)):
        if moment.timestamp() > now:
            return float(moment.timestamp())
    raise ValueError(f"{every.expression} never comes")
