"""The tables of docs/api.md, from the declarations."""

import re
from collections.abc import Iterable, Iterator

from regcache.admin.api.call_problems import PROBLEMS
from regcache.admin.api.calls import ApiCall
from regcache.admin.api.schemas import Schema

_PART = re.compile(r"(<!-- (calls|problems) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_in_calls(text: str, calls: Iterable[ApiCall]) -> str:
    """The document with its tables written anew."""
    parts = {"calls": _table(calls), "problems": _problems()}

    def replace(match: re.Match[str]) -> str:
        return match[1] + parts[match[2]] + match[3]

    return _PART.sub(replace, text)


def _table(calls: Iterable[ApiCall]) -> str:
    lines = ["| call | who | parameters | answer |", "|---|---|---|---|"]
    for call in calls:
        who = "socket" if call.socket_only else call.role.word
        names = ", ".join(_parameters(call)) or "none"
        status = "" if call.status == 200 else f"{call.status} "
        lines.append(f"| {call.method} {call.path} | {who} | {names} | {status}{_answer(call)} |")
    return "\n".join(lines) + "\n"


def _parameters(call: ApiCall) -> Iterator[str]:
    for each in call.fields.parameters:
        yield f"`{each.name}`" if each.required else f"{each.name}"


def _answer(call: ApiCall) -> str:
    shape = "" if call.answer is None else f" → {_shape(call.answer)}"
    return f"{call.text}{shape}".replace("|", "\\|")


def _shape(schema: Schema) -> str:
    """What an answer is made of, in one line."""
    if "anyOf" in schema:
        return f"{_shape(schema['anyOf'][0])}|null"
    if "enum" in schema:
        return " ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        inner = _shape(schema["items"])
        return f"[{inner}]" if inner else "[]"
    fields = schema.get("properties")
    if not fields:
        return ""
    shown = (f"{name} {_shape(each)}".rstrip().replace(" |", "|") for name, each in fields.items())
    return "{" + ", ".join(shown) + "}"


def _problems() -> str:
    lines = ["| status | code | when |", "|---|---|---|"]
    for problem in PROBLEMS:
        text = (problem.__doc__ or "").split("\n", 1)[0]
        lines.append(f"| {problem.status} | {problem.code} | {text} |")
    return "\n".join(lines) + "\n"
