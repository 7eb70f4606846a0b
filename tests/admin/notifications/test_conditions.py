"""When what holds is told: every row of the table."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.notifications.conditions import (
    HOLD,
    MOST,
    PAUSE,
    Condition,
    Conditions,
    Occurrence,
)

REFUSED = Condition("credentials", "docker.io", "it refuses ours")
DOWN = Condition("upstream_down", "docker.io", "it cannot be asked")


class ConditionTests(SynchronousTestCase):
    """One condition, or several."""

    def setUp(self) -> None:
        self.conditions = Conditions()

    def states(self, now: float, *present: Condition) -> list[tuple[str, str]]:
        """What is told then."""
        return [(one.event, one.state) for one in self.conditions.follow(present, now)]

    def test_at_once(self) -> None:
        """What has to be waited for by nobody is told once, and when it is over."""
        self.assertEqual(self.states(0, REFUSED), [("credentials", "begun")])
        self.assertEqual(self.states(5, REFUSED._replace(text="again")), [])
        self.assertEqual(self.states(10), [("credentials", "over")])
        self.assertEqual(self.states(15), [])
        self.assertEqual(self.states(20, REFUSED), [("credentials", "begun")])

    def test_moment(self) -> None:
        """What does not last is not told, neither its begin nor its end."""
        hold = HOLD["upstream_down"]
        self.assertEqual(self.states(0, DOWN), [])
        self.assertEqual(self.states(hold - 1), [])
        self.assertEqual(self.states(hold, DOWN), [])
        self.assertEqual(self.states(2 * hold - 1, DOWN), [])
        self.assertEqual(self.states(2 * hold, DOWN), [("upstream_down", "begun")])

    def test_several(self) -> None:
        """Each subject has a state of its own; of a crowd only a bounded number is followed."""
        both = [REFUSED, REFUSED._replace(subject="ghcr.io")]
        self.assertEqual(len(self.states(0, *both)), 2)
        self.assertEqual(self.states(1, both[0]), [("credentials", "over")])
        crowd = [Condition("quota", f"seat{n}", "used up") for n in range(2 * MOST)]
        self.assertEqual(len(self.states(2, *crowd)), MOST + 1)

    def test_damage(self) -> None:
        """More damage is told with how much, at most once in a while."""

        def told(now: float, times: int) -> list[str]:
            damage = Occurrence("corruption", "disk", "{count} contents", times)
            found = self.conditions.count([damage], now)
            self.assertEqual({one.state for one in found} - {"happened"}, set())
            return [one.text for one in found]

        self.assertEqual(told(0, 0), [])
        self.assertEqual(told(1, 2), ["2 contents"])
        self.assertEqual(told(2, 5), [])
        self.assertEqual(told(PAUSE, 5), [])
        self.assertEqual(told(PAUSE + 1, 6), ["4 contents"])
        self.assertEqual(told(3 * PAUSE, 6), [])
