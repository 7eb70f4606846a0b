"""openapi.json: the declarations of all calls as OpenAPI 3.1."""

from collections.abc import Iterable
from typing import Any

from regcache.admin.api.call_problems import PROBLEMS
from regcache.admin.api.callers import Role
from regcache.admin.api.calls import PREFIX, ApiCall, CallRoute
from regcache.admin.api.kinds import schema_of
from regcache.admin.api.schemas import INTEGER, TEXT, Schema, record, words
from regcache.web.problem_details import PROBLEM_TYPE

OPENAPI = ApiCall(
    method="GET",
    path="openapi.json",
    role=Role.NONE,
    text="This contract as OpenAPI 3.1.",
    answer=record(openapi=TEXT, info={"type": "object"}, paths={"type": "object"}),
)


def openapi_route(calls: Iterable[ApiCall], version: str) -> CallRoute:
    """The call that answers with the document.

    :param calls: all of them.
    """
    document = openapi(calls, version)
    return CallRoute(OPENAPI, lambda asked: document)


def openapi(calls: Iterable[ApiCall], version: str) -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for call in calls:
        paths.setdefault(PREFIX + call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "regcache", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Problem": _problem()},
            "securitySchemes": {
                "account": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-regcache"},
            },
        },
    }


def _operation(call: ApiCall) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": call.text,
        "operationId": f"{call.method.lower()}_{call.path.translate(_NO_WORD)}",
        "x-role": call.role.word,
        "responses": {
            str(call.status): _answer(call),
            "default": {
                "description": "It could not be answered.",
                "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if call.role is not Role.NONE:
        operation["security"] = [{"account": []}, {"session": []}]
    if call.method == "GET":
        operation["parameters"] = [
            {
                "name": each.name,
                "in": "query",
                "required": each.required,
                "schema": schema_of(each),
            }
            for each in call.fields.parameters
        ]
    else:
        operation["parameters"] = [
            {"name": "X-Regcache", "in": "header", "required": True, "schema": words("1")}
        ]
        body = {"application/json": {"schema": call.fields.schema}}
        operation["requestBody"] = {"required": bool(call.parameters), "content": body}
    return operation


_NO_WORD = str.maketrans("/-.", "___")


def _answer(call: ApiCall) -> dict[str, Any]:
    if call.answer is None:
        return {"description": "Done."}
    content: dict[str, Any] = {"application/json": {"schema": call.answer}}
    content |= {each.partition(";")[0]: {"schema": TEXT} for each in call.other_types}
    return {"description": call.text, "content": content}


def _problem() -> Schema:
    codes = words(*sorted({each.code for each in PROBLEMS}))
    return record(
        type=TEXT,
        title=TEXT,
        status=INTEGER,
        detail=TEXT,
        code=codes,
        params={"type": "object"},
        request_id=TEXT,
    )
