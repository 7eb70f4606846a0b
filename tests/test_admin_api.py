"""The admin API as a whole: its documents, and what a configuration makes of it."""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from regcache import __version__
from regcache.admin.api.call_problems import PROBLEMS
from regcache.admin.api.calls import PREFIX
from regcache.admin.api.documentation import fill_in_calls
from regcache.admin.api.openapi import OPENAPI, openapi
from regcache.admin.api.router import Api
from regcache.admin_api import CALLS, build_api, ui_addresses
from regcache.config.loading import loads
from tests.support.api import assert_answers
from tests.test_in_force import InForceCase

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "api.md"


class DocumentTests(SynchronousTestCase):
    """docs/api.md, the declarations and openapi.json say the same."""

    def setUp(self) -> None:
        self.text = DOCUMENT.read_text(encoding="utf-8")
        self.document = openapi(CALLS, __version__)

    def test_tables(self) -> None:
        """The tables of docs/api.md are those of the declarations; "make docs" writes them."""
        self.assertEqual(fill_in_calls(self.text, CALLS), self.text)

    def test_calls(self) -> None:
        """Table, declarations and openapi.json have the same calls, roles and parameters."""
        rows = re.findall(r"^\| ([A-Z]+) (\S+) \| (\w+) \| ([^|]*) \|", self.text, re.MULTILINE)
        operations = {
            (method.upper(), path.removeprefix(PREFIX)): operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }
        self.assertEqual({row[:2] for row in rows}, set(operations))
        self.assertEqual({row[:2] for row in rows}, {(each.method, each.path) for each in CALLS})
        for method, path, who, names in rows:
            operation = operations[method, path]
            self.assertIn(operation["x-role"], (who, "admin"))
            told = [name.strip("`") for name in names.split(", ") if name != "none"]
            self.assertEqual(told, list(parameters(operation)), (method, path))

    def test_problems(self) -> None:
        """The codes of errors are the same everywhere."""
        rows = re.findall(r"^\| (\d{3}) \| ([A-Z_]+) \|", self.text, re.MULTILINE)
        self.assertEqual(rows, [(str(each.status), each.code) for each in PROBLEMS])
        codes = self.document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        self.assertEqual(codes, sorted(code for _, code in rows))

    def test_schemas(self) -> None:
        """Every schema is one, and the document keeps to its own."""
        for call in CALLS:
            Draft202012Validator.check_schema(call.fields.schema)
            if call.answer is not None:
                Draft202012Validator.check_schema(call.answer)
        assert_answers(OPENAPI, self.document)
        json.dumps(self.document, allow_nan=False)


def parameters(operation: dict[str, Any]) -> list[str]:
    """The names of the parameters of an operation, wherever they are sent."""
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return list(schema["properties"])
    return [each["name"] for each in operation["parameters"]]


class BuildingTests(InForceCase):
    """What is built."""

    def make(self) -> Api:
        """The API over an engine in memory."""
        current = self.start(self.build())
        return build_api(current.in_force.config, self.engine, current)

    def test_calls(self) -> None:
        """Every call that is declared is there, once."""
        calls = [route.call for route in self.make().routes]
        self.assertEqual(sorted(calls, key=key), sorted(CALLS, key=key))
        self.assertEqual(len({key(each) for each in calls}), len(calls))

    def test_addresses(self) -> None:
        """A browser is told where it finds the pages."""
        for text, addresses in (
            ("", ["http://127.0.0.1:5001"]),
            ("admin: {endpoint: null}", []),
            ('admin: {endpoint: "tcp:80:interface=127.0.0.1"}', ["http://127.0.0.1"]),
            ('admin: {endpoint: "tcp6:5001:interface=\\\\:\\\\:1"}', ["http://[::1]:5001"]),
            ("admin: {endpoint: 'unix:/run/x'}", []),
            (
                "admin: {hosts: [ui.test]}\nlisteners: [{endpoint: 8080}]",
                ["http://127.0.0.1:5001", "http://ui.test:8080"],
            ),
        ):
            config = loads(text, "regcache.yml", {}).config
            self.assertEqual(list(ui_addresses(config)), addresses, text)


def key(call: Any) -> tuple[str, str]:
    """By what a call is asked."""
    return call.path, call.method
