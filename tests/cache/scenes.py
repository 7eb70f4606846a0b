"""What upstreams do, by the words of the tables in docs/operations.md."""

from regcache.digests import Digest
from tests.cache.cases import manifest_of
from tests.cache.stage import (
    ADDRESS,
    REALM,
    RETRY_AFTER,
    Scene,
    Stage,
    constant,
    nonsense,
    nothing,
)
from tests.upstream.cases import TokenService
from tests.upstream.network import Seen, response

_NEWER = manifest_of(b"newer")


def _moved(stage: Stage) -> None:
    stage.contents["latest"] = _NEWER


def _failed_three_times(stage: Stage) -> None:
    stage.serve(constant(503))
    for repository in ("org/a", "org/b", "org/c"):
        stage.ask(repository=repository)


def _limited(stage: Stage) -> None:
    stage.serve(constant(429, Retry_After=str(RETRY_AFTER)))


def _limited_before(stage: Stage) -> None:
    _limited(stage)
    stage.ask("another")


def _refused(stage: Stage) -> None:
    stage.hang_up()
    del stage.network.servers[ADDRESS, 80]


def _unresolvable(stage: Stage) -> None:
    stage.hang_up()
    stage.network.names.clear()


def _lost_packets(stage: Stage) -> None:
    stage.hang_up()
    stage.serve(None)


def _slow(stage: Stage) -> None:
    def later(seen: Seen) -> None:
        whole = stage.good(seen)
        answer = whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if seen.method == "HEAD" else whole
        stage.network.callLater(5, seen.line.send, answer)

    stage.serve(later)


def _dripping(stage: Stage) -> None:
    def begin(seen: Seen) -> bytes:
        whole = stage.manifest(_NEWER)
        return whole if seen.method == "HEAD" else whole[:-10]

    stage.serve(begin)


def _too_large(stage: Stage) -> None:
    large = manifest_of(annotations={"a": "x" * 4 * 1024 * 1024})
    stage.serve(lambda _: stage.manifest(large))


def _wrong_digest(stage: Stage) -> None:
    stage.serve(lambda _: stage.manifest(_NEWER, Digest.of(b"something else")))


def _closed(stage: Stage) -> None:
    def refuse(seen: Seen) -> bytes:
        return response(403) if "authorization" in seen.headers else stage.good(seen)

    stage.serve(refuse)


def _tag_refused(stage: Stage) -> None:
    def refuse(seen: Seen) -> bytes:
        good = stage.good(seen)
        of_tag = seen.path.endswith("/manifests/latest") and "authorization" in seen.headers
        return response(403) if of_tag else good

    stage.serve(refuse)


def _realm_refuses(stage: Stage) -> None:
    service = TokenService()
    service.accounts = set()
    stage.network.serve(REALM, 80, service.tokens)

    def guarded(seen: Seen) -> bytes:
        answer = service.registry(seen)
        return answer if answer.startswith(b"HTTP/1.1 401") else stage.content(seen)

    stage.serve(guarded)
    stage.account = ("me", "wrong")


def _same(stage: Stage) -> None:
    """All is as it was."""


SCENES: dict[str, Scene] = {
    "not asked: the copy is younger than `tag_ttl`": _same,
    "names the same digest": _same,
    "names another digest": _moved,
    "does not answer within `deadline`": lambda stage: stage.serve(nothing),
    "not asked: its breaker is open": _failed_three_times,
    "not asked: `Retry-After` still runs": _limited_before,
    "answers 429": _limited,
    "answers 5xx": lambda stage: stage.serve(constant(503)),
    "times out before `deadline`": lambda stage: stage.serve(nothing),
    "cannot be reached": _refused,
    "answers nonsense": lambda stage: stage.serve(nonsense),
    "answers 404, `on_missing: gone`": lambda stage: stage.serve(constant(404)),
    "answers 404, `on_missing: stale`": lambda stage: stage.serve(constant(404)),
    "answers 401 or 403 without credentials, `on_missing: gone`": lambda stage: stage.serve(
        constant(403)
    ),
    "answers 401 or 403 without credentials, `on_missing: stale`": lambda stage: stage.serve(
        constant(403)
    ),
    "refuses good credentials for this tag alone, `on_missing: gone`": _tag_refused,
    "refuses good credentials for this tag alone, `on_missing: stale`": _tag_refused,
    "refuses good credentials for all: the repository is closed": _closed,
    "its name cannot be resolved": _unresolvable,
    "it refuses connections": _refused,
    "packets to it are lost": _lost_packets,
    "it accepts connections and never answers": lambda stage: stage.serve(nothing),
    "it answers after 5 s": _slow,
    "it begins the manifest and does not end it": _dripping,
    "it answers 5xx": lambda stage: stage.serve(constant(503)),
    "it failed three times in a row": _failed_three_times,
    "it answers 429": _limited,
    "it answered 429 a moment ago": _limited_before,
    "it gives what is no manifest": lambda stage: stage.serve(nonsense),
    "it gives a manifest of more than 4 MiB, or of more than 4,096 descriptors": _too_large,
    "it gives a manifest that fails its digest": _wrong_digest,
    "it has no such tag any more": lambda stage: stage.serve(constant(404)),
    "it gives no access without credentials": lambda stage: stage.serve(constant(403)),
    "it refuses good credentials for this tag alone": _tag_refused,
    "it refuses good credentials for all": _closed,
    "its token realm refuses our credentials": _realm_refuses,
}
#: Where the upstream is one that we have credentials for.
WITH_CREDENTIALS = {situation for situation in SCENES if "refuses good credentials" in situation}
