"""GET config."""

from regcache.admin.api.calls import CallRoute
from regcache.admin.api.config_call import GET_CONFIG, ConfigFacts, RefusedConfig, config_routes
from tests.support.api import ALICE, ROOT, ApiCase


class ConfigTests(ApiCase):
    """What is told, and to whom."""

    def routes(self) -> list[CallRoute]:
        self.facts = ConfigFacts(
            {"log": {"access": True}}, 1_800_000_000.0, file="/etc/x.yml", lines={"log.access": 3}
        )
        return config_routes(lambda: self.facts)

    def test_config(self) -> None:
        """The long form, the file, and the line of each key."""
        told = self.answered(GET_CONFIG, self.get("config", ROOT))
        self.assertEqual(told["config"], {"log": {"access": True}})
        self.assertEqual((told["file"], told["lines"]), ("/etc/x.yml", {"log.access": 3}))
        self.assertEqual((told["loaded"], told["last_error"]), ("2027-01-15T08:00:00Z", None))

    def test_error(self) -> None:
        """A later file that was not taken is told with its errors."""
        error = RefusedConfig(1_800_000_060.0, ["/etc/x.yml:1: a: unknown key"])
        self.facts = ConfigFacts({}, 1_800_000_000.0, last_error=error)
        told = self.answered(GET_CONFIG, self.get("config"))
        self.assertEqual(told["last_error"]["errors"], ["/etc/x.yml:1: a: unknown key"])

    def test_account(self) -> None:
        """An account that is no administrator does not see it."""
        self.assert_problem(self.get("config", ALICE), 403, "FORBIDDEN")
