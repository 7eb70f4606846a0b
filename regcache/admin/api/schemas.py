"""JSON Schema (draft 2020-12) of answers, in few words.

Every field of an answer is there, and is null where it is not known: so all are required. Fields
may be added, so others are allowed.
"""

from typing import Any

Schema = dict[str, Any]

ANY: Schema = {}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
INTEGER: Schema = {"type": "integer"}
RATIO: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TIME: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
DIGEST: Schema = {"type": "string", "pattern": "^sha(256|512):[0-9a-f]+$"}


def record(**fields: Schema) -> Schema:
    """An object with these fields."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def array(items: Schema, **bounds: int) -> Schema:
    """A list.

    :param bounds: ``minItems``, ``maxItems``.
    """
    return {"type": "array", "items": items, **bounds}


def words(*allowed: str) -> Schema:
    """One of some words."""
    return {"enum": list(allowed)}


def nullable(schema: Schema) -> Schema:
    """The same, or null where it is not known."""
    return {"anyOf": [schema, {"type": "null"}]}


def page(items: Schema, **more: Schema) -> Schema:
    """A page of a list, with further fields."""
    return record(items=array(items), next=nullable(TEXT), total=nullable(COUNT), **more)


CODED = record(code=TEXT, params={"type": "object"})
