"""Why a request was slow, failed, or is what it is: the verdicts of the API in words."""

from collections.abc import Mapping
from typing import Any

from regcache.ctl.printer import size_text

#: By their code (docs/api.md, "Requests").
SENTENCES = {
    "denied.private": "Private at {upstream}; serve_private is off.",
    "denied.rule": "Not allowed for {principal}: {key}.",
    "denied.upstream": "{upstream} refuses us.",
    "denied.login": "No account given; the first step of any login.",
    "denied.credentials": "The account or its password is wrong.",
    "denied.other": "Not allowed for {principal}.",
    "failed.not_found": "{upstream} has no such thing.",
    "failed.down": "{upstream} does not answer and this is not in the cache.",
    "failed.limited": "{upstream} wants a pause until {until}: its rate limit is used up.",
    "failed.digest": "{upstream} sent wrong bytes. Nothing was stored or completed.",
    "failed.broken": "It could not be completed, and was cut.",
    "failed.other": "It was answered {status}.",
    "ended.client": "{principal} hung up after {bytes}.",
    "stale.deadline": "{upstream} gave no answer in time; the copy was used.",
    "stale.down": "{upstream} does not answer; the copy was used.",
    "stale.limited": "{upstream} wants a pause; the copy was used.",
    "relay.too_big": "Passed through, not kept: larger than max_blob.",
    "relay.full": "Passed through, not kept: the disk is full.",
    "slow.queue": "Waited {seconds} s for one of the downloads of {upstream} (max_downloads).",
    "slow.dns": "{host} took {seconds} s to be found.",
    "slow.connect": "{host} took {seconds} s to connect.",
    "slow.token": "{host} took {seconds} s to give a token.",
    "slow.first_byte": "{host} took {seconds} s to answer.",
    "slow.upstream": "{host} sent {bytes_per_s}/s. The median of {upstream} is "
    "{median_bytes_per_s}/s.",
    "slow.client": "The cache was ready; {principal} took only {bytes_per_s}/s.",
    "slow.disk": "The disk of this host was the limit: {bytes_per_s}/s.",
    "ok.hit": "From the disk.",
    "ok.revalidated": "Unchanged at {upstream}.",
    "ok.joined": "Joined another request.",
    "ok.miss": "First time asked for.",
}


class _Params(dict[str, str]):
    """What is not known is a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"


def why(item: Mapping[str, Any]) -> str:
    """The verdict on a request in words; its code where a newer daemon says what is not known."""
    verdict = item["verdict"]
    if verdict is None:
        return "It goes on."
    code = str(verdict["code"])
    words = {name: _word(name, value) for name, value in verdict["params"].items()}
    template = SENTENCES.get(code)
    return code if template is None else template.format_map(_Params(words))


def _word(name: str, value: Any) -> str:
    if value is None:
        return "?"
    return size_text(value) if name.startswith(("bytes", "median_bytes")) else str(value)


def what(item: Mapping[str, Any]) -> str:
    """What was asked for, as people write it."""
    named = [item[name] for name in ("upstream", "repository") if item[name]]
    reference = item["reference"] or ""
    if not named:
        return str(item["kind"])
    name = "/".join(named)
    if not reference:
        return name
    return f"{name}{'@' if ':' in reference else ':'}{reference}"


def seconds_text(milliseconds: int | None) -> str:
    """A duration for people."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
