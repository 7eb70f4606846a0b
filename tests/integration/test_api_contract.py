"""Checks a real daemon against its openapi.json by the requests that schemathesis makes."""

import time
from importlib.util import find_spec
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.access.accounts import hashed
from tests.integration.base import (
    UPSTREAM,
    PullThroughCase,
    catalog,
    public_upstream,
    upstream_config,
)
from tests.support.processes import unavailable
from tests.support.registry_client import RegistryClient

#: Examples of each call; and seconds after which no further ones are made up.
EXAMPLES, SECONDS = 12, 40.0
REPOSITORY = "team/multi"
ACCOUNT = ("admin", "secret")


class ContractTests(PullThroughCase):
    """An administrator who asks everything, in every way that the document allows."""

    def setUp(self) -> None:
        if find_spec("schemathesis") is None:
            unavailable("schemathesis is not installed")
        accounts = self.workspace().file("htpasswd", f"admin:{hashed(ACCOUNT[1]).decode()}\n")
        access = {"htpasswd": str(accounts), "admins": ["admin"]}
        self.daemon = self.regcache({**upstream_config(public_upstream().url), "access": access})
        self.url = f"http://127.0.0.1:{self.daemon.admin_port}"
        self.admin = RegistryClient(self.url, ACCOUNT)
        self.image = catalog().images[REPOSITORY]
        client = self.daemon.client(credentials=ACCOUNT)
        child = self.image.children[0]
        for tail in ("manifests/1", f"manifests/{child.digest}", f"blobs/{child.blobs[0].digest}"):
            self.assertEqual(client.get(f"/v2/{REPOSITORY}/{tail}").status, 200)
        #: What stands for a made-up value now and then, so that something is found, too.
        self.known: dict[str, list[Any]] = {
            "name": [f"{UPSTREAM}/{REPOSITORY}", UPSTREAM],
            "reference": ["1", self.image.digest],
            "digest": [child.digest],
            "tag": ["1"],
            "upstream": [UPSTREAM],
            "targets": [[{"name": f"{UPSTREAM}/{REPOSITORY}", "reference": "1"}]],
        }

    def test_document(self) -> None:
        """No answer is a 5xx, and each has a status, a type and a form that the document states."""
        import schemathesis
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi import checks

        document = self.admin.get("/api/v1/openapi.json").json()
        for methods in document["paths"].values():
            for operation in methods.values():
                operation.pop("security", None)  # who asks is always the same
        held = [
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]
        found = schemathesis.openapi.from_dict(document).get_all_operations()
        # What tries passwords comes last: wrong ones make the daemon refuse right ones.
        operations = sorted((each.ok() for each in found), key=lambda one: "session" in one.path)
        until, statuses = time.monotonic() + SECONDS, set()
        for operation in operations:
            if not operation.path.endswith("/events"):  # its answer never ends
                statuses |= self.hold(operation, held, until)
        self.assertLessEqual({200, 202, 204, 400, 404}, statuses)

    def hold(self, operation: Any, checks: list[Any], until: float) -> set[int]:
        """Ask one call in many ways; the statuses that were answered."""
        statuses: set[int] = set()

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(), st.data())
        def ask(case: Any, data: Any) -> None:
            if time.monotonic() > until:
                return
            self.fill_in(case, data)
            answer = case.call(base_url=self.url, auth=ACCOUNT, timeout=20)
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=checks)

        ask()
        return statuses

    def fill_in(self, case: Any, data: Any) -> None:
        """Put what is known in the place of some of what was made up."""
        for values in (case.query, case.body):
            if not isinstance(values, dict):
                continue
            for name in sorted(values.keys() & self.known.keys()):
                if data.draw(st.integers(0, 2)):
                    values[name] = data.draw(st.sampled_from(self.known[name]))
