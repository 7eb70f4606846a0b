"""GET client-config."""

from twisted.internet.defer import Deferred, succeed

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.call_problems import UnknownSeatProblem
from regcache.admin.api.callers import Reach
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.client_config_call import GET_CLIENT_CONFIG, client_config_routes
from regcache.client_setup.guide import TOOLS
from regcache.client_setup.seat_guide import SeatClient
from regcache.client_setup.served import ServedHere
from regcache.config.client_facts import served_here
from regcache.config.loading import loads
from tests.client_setup.cases import NAMED
from tests.support.api import ALICE, ROOT, ApiCase

LABEL = "k3j9x2fq7m"


class ClientConfigCase(ApiCase):
    """Two registries with hosts of their own, and one without."""

    def routes(self) -> list[CallRoute]:
        """The call."""
        return client_config_routes(self.served, self.seat)

    def served(self) -> "Deferred[ServedHere]":
        """What is served."""
        return succeed(served_here(loads(NAMED, "regcache.yml", {}).config, "box"))

    def seat(self, name: str) -> SeatClient:
        """The only seat."""
        if name != "bob":
            raise UnknownSeatProblem(f"there is no seat {name}")
        return SeatClient(LABEL, upstreams=["ghcr.io"])


class ClientConfigTests(ClientConfigCase):
    """What is answered to everybody."""

    def test_tools(self) -> None:
        """Every program has a guide that keeps to the schema."""
        for tool in TOOLS:
            told = self.answered(GET_CLIENT_CONFIG, self.get(f"client-config?tool={tool}"))
            self.assertTrue(told["steps"][0]["blocks"], tool)
            names = {each["registry"]: each["host"] for each in told["names"]}
            self.assertEqual(names["ghcr.io"], "ghcr.example.com:5000")
            self.assertEqual(names["registry.corp"], "box:5000/registry.corp")

    def test_wishes(self) -> None:
        """A host, and some upstreams of all."""
        call = "client-config?tool=podman&host=a.test:5000&upstreams=ghcr.io,docker.io"
        names = self.answered(GET_CLIENT_CONFIG, self.get(call))["names"]
        hosts = [each["host"] for each in names]
        self.assertEqual(hosts, ["a.test:5000/ghcr.io", "a.test:5000/docker.io"])

    def test_wrong(self) -> None:
        """What cannot be is refused, naming the parameter."""
        for query, field in (
            ("", "tool"),
            ("?tool=helm", "tool"),
            ("?tool=docker&host=a/b", "host"),
            ("?tool=docker&upstreams=nowhere.io", "upstreams"),
        ):
            problem = self.assert_problem(self.get(f"client-config{query}"), 400, "INVALID")
            self.assertEqual(problem["params"], {"field": field})


class RestrictedTests(ClientConfigCase):
    """An account sees what it may pull."""

    reach = Reach.REMOTE
    rules = (
        Rule(
            frozenset({"alice"}), Grant(frozenset({Action.PULL}), frozenset({"ghcr.io"}), None), ()
        ),
    )

    def test_sight(self) -> None:
        """Upstreams of which somebody sees nothing are neither listed nor found."""
        told = self.answered(GET_CLIENT_CONFIG, self.get("client-config?tool=podman", ALICE))
        self.assertEqual([each["registry"] for each in told["names"]], ["ghcr.io"])
        self.assertNotIn("docker.io", str(told["steps"]))
        hidden = self.get("client-config?tool=podman&upstreams=docker.io", ALICE)
        self.assert_problem(hidden, 400, "INVALID")
        every = self.answered(GET_CLIENT_CONFIG, self.get("client-config?tool=podman", ROOT))
        self.assertEqual(len(every["names"]), 3)
        self.assert_problem(self.get("client-config?tool=podman"), 401, "UNAUTHENTICATED")

    def test_seat(self) -> None:
        """What a seat can show, and where it may pull, is for administrators."""
        call = "client-config?tool=podman&seat=bob"
        told = self.answered(GET_CLIENT_CONFIG, self.get(call, ROOT))
        names = {each["registry"]: each["host"] for each in told["names"]}
        self.assertEqual(names, {"ghcr.io": f"ghcr-{LABEL}.example.com:5000"})
        self.assertFalse(told["login_needed"])
        self.assert_problem(self.get(call.replace("bob", "eve"), ROOT), 404, "UNKNOWN_SEAT")
        elsewhere = self.get(f"{call}&upstreams=docker.io", ROOT)
        self.assert_problem(elsewhere, 400, "INVALID")
        for name in ("bob", "alice", "eve"):
            answer = self.get(call.replace("bob", name), ALICE)
            self.assert_problem(answer, 403, "FORBIDDEN")
            self.assertNotIn(LABEL, answer.body.decode())


class LocalSeatTests(ClientConfigCase):
    """Who comes without an account to where only this machine reaches may read, no more."""

    def test_seat(self) -> None:
        """It is told no seat's host."""
        answer = self.get("client-config?tool=podman&seat=bob")
        self.assert_problem(answer, 403, "FORBIDDEN")
