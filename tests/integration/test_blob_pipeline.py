"""One cold blob in many pieces: ranges, resumed transfers, lies, and clients that misbehave."""

import email.parser
import email.policy
import hashlib
import http.client
import json
import re
import signal
import socket
import time
from typing import Any

from tests.integration.base import UPSTREAM, PullThroughCase, shared, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.generated import GeneratedContent
from tests.support.images import MIB
from tests.support.processes import wait_until
from tests.support.registry_client import Answer
from tests.support.servers import Regcache

REPOSITORY = "team/app"
#: What a few answers other than 200 may cost (bytes).
ERROR_BODIES = 4096


class PipelineCase(PullThroughCase):
    """One daemon in front of one upstream that records every request and byte."""

    rate: float | None = None
    limits: dict[str, Any] = {}

    def setUp(self) -> None:
        """Start both."""
        self.upstream: FaultyUpstream = self.faulty_upstream(rate=self.rate)
        config = upstream_config(self.upstream.url)
        self.daemon: Regcache = self.regcache({**config, "limits": self.limits})
        self.client = self.daemon.client()

    def blob(self, size: int, seed: object = 0) -> tuple[GeneratedContent, str]:
        """A blob of the upstream, and the path that clients ask for."""
        seed = f"{self.id()} {seed}"
        blob = self.upstream.add_generated_blob(REPOSITORY, size, seed)
        return blob, f"/v2/{REPOSITORY}/blobs/{blob.digest}"

    def sent(self, target: str) -> int:
        """How many bytes the upstream sent of a blob, itself or by a redirect."""
        return sum(one.sent for one in self.upstream.asked() if one.path.endswith(target))

    def assert_whole(self, target: str, blob: GeneratedContent) -> Download:
        """A client gets the blob, and all of it."""
        one = Download(self.client, target).wait()
        self.assertEqual((one.error, one.status, one.digest), (None, 200, blob.digest))
        return one

    def assert_aborted(self, target: str) -> None:
        """A client gets no clean end."""
        one = Download(self.client, target).wait()
        self.assertIsInstance(one.error, http.client.HTTPException | ConnectionError, one.received)

    def assert_part(self, answer: Answer, blob: GeneratedContent, start: int, end: int) -> None:
        """206 with the bytes [start, end) and their Content-Range."""
        self.assertEqual(answer.status, 206)
        self.assertEqual(answer.headers["content-range"], f"bytes {start}-{end - 1}/{blob.size}")
        self.assertTrue(answer.body == blob.read(start, end), "wrong bytes")

    def idle(self) -> bool:
        """Whether no reader and no download is left, and no file of the cache is open."""
        gauges = ("regcache_readers", "regcache_downloads")
        return not any(self.daemon.metric(name) for name in gauges) and not (
            self.daemon.cache_files()
        )

    def stored(self) -> list[str]:
        """The names of the finished files."""
        return [one.name for one in (self.daemon.directory / "blobs").rglob("*") if one.is_file()]


class Pair:
    """An upstream and a daemon for many tests: each has blobs of its own."""

    def __init__(self) -> None:
        self.upstream = FaultyUpstream()
        times = {"first_byte_timeout": "2s", "stall_timeout": "1s", "negative_ttl": "0s"}
        self.daemon = Regcache(upstream_config(self.upstream.url, **times)).start()

    def close(self) -> None:
        """Stop both."""
        self.daemon.close()
        self.upstream.close()


pair = shared(Pair)


class SharedPairCase(PipelineCase):
    """Many tests of one daemon, which is cheaper."""

    def setUp(self) -> None:
        """Take the pair, in good health."""
        self.upstream, self.daemon = pair().upstream, pair().daemon
        self.upstream.faults.clear()
        self.client = self.daemon.client()


class ChunkStormTests(PipelineCase):
    """containerd's parallel mode."""

    rate = 60e6

    def test_eight_open_ended_ranges_that_are_cut_cost_little_more_than_the_blob(self) -> None:
        """Eight ``bytes=k*c-`` on one cold 256 MiB digest, each left after c bytes."""
        blob, target = self.blob(256 * MIB)
        chunk = blob.size // 8
        chunks = [
            Download(self.client, target, headers={"Range": f"bytes={k * chunk}-"}, most=chunk)
            for k in range(8)
        ]
        for k, one in enumerate(chunks):
            one.wait()
            expected = hashlib.sha256()
            for piece in blob.chunks(k * chunk, (k + 1) * chunk):
                expected.update(piece)
            self.assertEqual((one.error, one.status, one.received), (None, 206, chunk))
            self.assertEqual(one.digest, "sha256:" + expected.hexdigest(), f"chunk {k}")
        self.assert_whole(target, blob)
        self.assertLessEqual(self.upstream.sent_bytes(), 1.15 * blob.size)


class SlowRestTests(PipelineCase):
    """A range of a blob that comes slowly."""

    def test_a_range_does_not_wait_for_the_slow_rest(self) -> None:
        """A range far into a blob is there although the rest does not come; then the whole is."""
        blob, target = self.blob(24 * MIB)
        held = Fault(hold_at=4 * MIB, rate=30e6)
        self.upstream.faults.then(target, held)
        whole = Download(self.client, target)
        wait_until(lambda: whole.received > 0, "the first bytes")
        answer = self.client.get(target, Range=f"bytes={20 * MIB}-{20 * MIB + 99_999}")
        self.assert_part(answer, blob, 20 * MIB, 20 * MIB + 100_000)
        held.release.set()
        whole.wait()
        self.assertEqual((whole.error, whole.digest), (None, blob.digest))
        self.assert_whole(target, blob)
        self.assertLessEqual(self.sent(target), 1.15 * blob.size)

    def test_a_range_is_the_first_that_is_asked(self) -> None:
        """A range alone on a cold blob does not wait for what is before it."""
        blob, target = self.blob(16 * MIB)
        held = Fault(hold_at=MIB)
        self.upstream.faults.then(target, held)
        answer = self.client.get(target, Range=f"bytes={12 * MIB}-{12 * MIB + 9}")
        self.assert_part(answer, blob, 12 * MIB, 12 * MIB + 10)
        held.release.set()
        self.assert_whole(target, blob)


class ColdRangeTests(SharedPairCase):
    """Range requests on blobs that are not here, or not wholly."""

    def test_an_upstream_that_ignores_range(self) -> None:
        """200 to a Range request costs time, and never a wrong byte."""
        blob, target = self.blob(16 * MIB)
        self.upstream.faults.always(target, Fault(ignore_range=True, rate=30e6))
        first = Download(self.client, target)
        wait_until(lambda: first.received > 0, "the first bytes")
        answer = self.client.get(target, Range=f"bytes={14 * MIB}-{14 * MIB + 999}")
        self.assert_part(answer, blob, 14 * MIB, 14 * MIB + 1000)
        self.assertEqual(first.wait().digest, blob.digest)
        self.assertLessEqual(self.sent(target), 2 * blob.size)

    def test_an_upstream_that_ignores_range_after_a_cut(self) -> None:
        """The whole comes once more, and the client keeps its place."""
        blob, target = self.blob(4 * MIB)
        self.upstream.faults.then(target, Fault(cut_at=3 * MIB), Fault(ignore_range=True))
        self.assert_whole(target, blob)

    def test_an_upstream_that_lies_in_content_range(self) -> None:
        """A part that says it is another one is not taken."""
        size = 4 * MIB
        # One after the other: three cuts at once would open the breaker for the fourth.
        for lie in (f"0-{MIB - 1}/{size}", f"{2 * MIB}-{size}/{size + 1}", "*/*", "nonsense"):
            blob, target = self.blob(size, lie)
            fault = Fault(content_range=f"bytes {lie}")
            self.upstream.faults.then(target, Fault(cut_at=2 * MIB), fault)
            self.assert_whole(target, blob)

    def test_another_etag_after_a_cut(self) -> None:
        """Object stores change their validators at will; the digest decides."""
        blob, target = self.blob(4 * MIB)
        self.upstream.faults.then(target, Fault(cut_at=MIB, etag='"a"'), Fault(etag='"b"'))
        self.assert_whole(target, blob)
        self.assertEqual(self.sent(target), blob.size)

    def test_several_ranges(self) -> None:
        """Two ranges of a cold blob come as two right parts, or as the full 200."""
        blob, target = self.blob(8 * MIB)
        answer = self.client.get(target, Range=f"bytes=5-14,{6 * MIB}-{6 * MIB + 4}")
        if answer.status == 200:
            self.assertTrue(answer.body == blob.read(0, blob.size))
            return
        self.assertEqual(answer.status, 206)
        head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        parts = list(parser.parsebytes(head + answer.body).iter_parts())
        places = [part["Content-Range"] for part in parts]
        self.assertEqual(
            places, [f"bytes 5-14/{blob.size}", f"bytes {6 * MIB}-{6 * MIB + 4}/{blob.size}"]
        )
        self.assertEqual(
            [part.get_payload(decode=True) for part in parts],
            [blob.read(5, 15), blob.read(6 * MIB, 6 * MIB + 5)],
        )

    def test_more_ranges_than_anybody_needs(self) -> None:
        """A thousand overlapping ranges never bring more than the blob."""
        blob, target = self.blob(MIB)
        ranges = ",".join(f"{k}-" for k in range(1000))
        answer = self.client.get(target, Range=f"bytes={ranges}")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.body == blob.read(0, blob.size))

    def test_ranges_by_the_book(self) -> None:
        """416, suffixes, If-Range and what cannot be parsed, cold and cached alike."""
        for seed in ("cold", "cached"):
            size = 2 * MIB
            blobs = [self.blob(size, f"{seed}{k}") for k in range(5)]
            if seed == "cached":
                for blob, target in blobs:
                    self.assert_whole(target, blob)
            (blob, target), *others = blobs
            beyond = self.client.get(target, Range=f"bytes={size}-")
            self.assertEqual(
                (beyond.status, beyond.headers["content-range"]), (416, f"bytes */{size}")
            )
            blob, target = others[0]
            self.assert_part(
                self.client.get(target, Range="bytes=-70000"), blob, size - 70000, size
            )
            blob, target = others[1]
            right = {"Range": "bytes=10-19", "If_Range": f'"{blob.digest}"'}
            self.assert_part(self.client.get(target, **right), blob, 10, 20)
            for number, headers in (
                (2, {"Range": "bytes=10-19", "If_Range": '"another"'}),
                (3, {"Range": "pages=1-2"}),
                (3, {"Range": "bytes=9-1"}),
                (3, {"Range": "bytes=\xb2-"}),
            ):
                blob, target = others[number]
                answer = self.client.get(target, **headers)
                self.assertEqual((answer.status, len(answer.body)), (200, size), headers)


class ResumeTests(SharedPairCase):
    """Transfers that break: clients see a pause and one clean, right answer."""

    def test_a_reset_an_early_close_and_errors_in_between(self) -> None:
        """A transfer goes on after any break, where it broke."""
        self.assert_resumed("stored", {})

    def test_what_is_too_large_to_be_stored(self) -> None:
        """So does one that is passed through to its client."""
        self.assert_resumed("detail=relay", {"max_blob": "1MiB"})

    def assert_resumed(self, outcome: str, storage: dict[str, Any]) -> None:
        """Transfers that break in every way go on, each in a daemon with such a storage."""
        cases: dict[str, list[Fault]] = {
            "reset.test": [Fault(reset_at=3 * MIB)],
            "close.test": [Fault(cut_at=3 * MIB)],
            "twice.test": [Fault(cut_at=MIB), Fault(reset_at=2 * MIB)],
            "errors.test": [Fault(cut_at=3 * MIB), Fault(status=503), Fault(status=500)],
            "limit.test": [Fault(cut_at=3 * MIB), Fault(status=429, retry_after=1)],
            "refused.test": [Fault(cut_at=3 * MIB), Fault(reset=True)],
            "stall.test": [Fault(stall_at=3 * MIB)],
        }
        if not storage:  # what does not say its size is found out too late to be too large
            cases["chunked.test"] = [Fault(cut_at=3 * MIB, framing="chunked")]
        # An entry for each has a breaker and a Retry-After of its own.
        settings = {"urls": [self.upstream.url], "stall_timeout": "1s"}
        daemon = Regcache({"upstreams": {name: dict(settings) for name in cases}})
        self.addCleanup(daemon.close)
        daemon.config["storage"].update(storage)
        daemon.start()
        running = {}
        for name, faults in cases.items():
            blob, target = self.blob(8 * MIB, f"{name} {outcome}")
            self.upstream.faults.then(target, *faults)
            target_here = target.replace(REPOSITORY, f"{name}/{REPOSITORY}")
            running[name] = (blob, target, Download(daemon.client(), target_here))
        for name, (blob, target, one) in running.items():
            one.wait()
            self.assertEqual((one.error, one.status, one.digest), (None, 200, blob.digest), name)
            self.assertIn(outcome, one.headers["cache-status"])
            sent = sum(each.sent for each in self.upstream.asked() if each.path == target)
            # What the kernels hold is lost when a connection is reset.
            lost = sum(each.reset_at or 0 for each in cases[name])
            self.assertLessEqual(sent, blob.size + lost + ERROR_BODIES, name)

    def test_a_signature_that_is_good_once(self) -> None:
        """A broken transfer from a redirect target is resumed through the registry's own URL."""
        blob, target = self.blob(8 * MIB)
        self.upstream.faults.always(target, Fault(redirect=True))
        self.upstream.faults.then(f"/storage{target}", Fault(cut_at=5 * MIB))
        self.assert_whole(target, blob)
        self.assertEqual(self.sent(target), blob.size)
        asked = [one for one in self.upstream.asked() if one.path.endswith(target)]
        origins = [one.origin for one in asked]
        self.assertEqual(origins, ["registry", "storage"] * 2)
        self.assertNotIn("signature", self.daemon.log())

    def test_a_signature_that_is_refused(self) -> None:
        """403 from a redirect target is a broken transfer, no refusal and no ill upstream."""
        blob, target = self.blob(8 * MIB)
        stale = f"{self.upstream.storage_url}/storage{target}?signature=stale"
        self.upstream.faults.then(
            target, Fault(cut_at=MIB), *[Fault(redirect=stale) for _ in range(2)]
        )
        self.assert_whole(target, blob)
        self.assertEqual(self.daemon.metric("regcache_upstream_up", upstream=UPSTREAM), 1)

    def test_an_upstream_that_gives_up(self) -> None:
        """A transfer that cannot be resumed is aborted in the end, and what came is kept."""
        blob, target = self.blob(4 * MIB)
        self.upstream.faults.then(target, Fault(cut_at=3 * MIB), Fault(status=404))
        self.assert_aborted(target)
        wait_until(self.idle, "everything is freed")
        self.assertNotIn(blob.digest.partition(":")[2], self.stored())
        self.assert_whole(target, blob)
        self.assertLessEqual(self.sent(target), blob.size + ERROR_BODIES)


class SeveralUrlsTests(PullThroughCase):
    """A broken transfer goes on at the next URL."""

    def test_the_rest_comes_from_the_next_url(self) -> None:
        """The first URL breaks off and is dead from then on; the second brings the rest."""
        first, second = self.faulty_upstream(), self.faulty_upstream()
        blob = first.add_generated_blob(REPOSITORY, 8 * MIB)
        second.add_generated_blob(REPOSITORY, 8 * MIB)
        config = {"urls": [first.url, second.url]}
        daemon = self.regcache({"upstreams": {UPSTREAM: config}, "default_upstream": UPSTREAM})
        target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
        first.faults.then(target, Fault(cut_at=3 * MIB))
        first.faults.always(target, Fault(status=503))
        one = Download(daemon.client(), target).wait()
        self.assertEqual((one.error, one.digest), (None, blob.digest))
        self.assertEqual((first.sent_bytes(), second.sent_bytes()), (3 * MIB, 5 * MIB))

    def test_refusals_of_the_next_url(self) -> None:
        """What the second URL does not give comes from the first, which has broken off once."""
        first, second = self.faulty_upstream(), self.faulty_upstream()
        config = {"urls": [first.url, second.url]}
        daemon = self.regcache({"upstreams": {UPSTREAM: config}, "default_upstream": UPSTREAM})
        page = b"<html>please log in</html>" * 20
        refusals = [
            *(Fault(status=status) for status in (404, 403, 429, 502)),
            Fault(body=page, content_type="text/html", ignore_range=True),
            Fault(body=page, content_type="text/html", ignore_range=True, framing="chunked"),
        ]
        for number, refusal in enumerate(refusals):
            with self.subTest(refusal=refusal):
                blob = first.add_generated_blob(REPOSITORY, 2 * MIB, number)
                target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
                first.faults.then(target, Fault(cut_at=MIB))
                second.faults.always(target, refusal)
                one = Download(daemon.client(), target).wait()
                self.assertEqual((one.error, one.digest), (None, blob.digest))


class RedirectTargetTests(PipelineCase):
    """Storage behind a redirect that is ill for a moment."""

    def test_asked_again_through_the_registry(self) -> None:
        """What the storage says of the first question is not the registry's word."""
        for status in (403, 404, 500, 503):
            with self.subTest(status=status):
                blob, target = self.blob(MIB, status)
                self.upstream.faults.always(target, Fault(redirect=True))
                refusal = Fault(status=status)
                self.upstream.faults.then(f"/storage{target}", refusal, refusal)
                self.assert_whole(target, blob)
                asked = [one.path for one in self.upstream.asked()]
                self.assertEqual(asked.count(target), 3)

    def test_given_up(self) -> None:
        """Storage that stays ill is a bad gateway, and does not close the upstream to others."""
        _, target = self.blob(MIB)
        self.upstream.faults.always(target, Fault(redirect=True))
        self.upstream.faults.always(f"/storage{target}", Fault(status=503))
        answer = self.client.get(target)
        self.assertEqual((answer.status, answer.errors), (502, ["UNAVAILABLE"]))
        other, well = self.blob(MIB, "other")
        self.assert_whole(well, other)


class TwoUpstreamsTests(PullThroughCase):
    """Two upstreams that have the same blob."""

    def test_clients_of_each_share(self) -> None:
        """While one brings it slowly the other's clients share a download of their own."""
        slow, quick = self.faulty_upstream(rate=1e6), self.faulty_upstream()
        blob = slow.add_generated_blob(REPOSITORY, 8 * MIB)
        quick.add_generated_blob(REPOSITORY, 8 * MIB)
        upstreams = {"slow.test": {"urls": [slow.url]}, "quick.test": {"urls": [quick.url]}}
        daemon = self.regcache({"upstreams": upstreams})
        targets = [f"/v2/{name}/{REPOSITORY}/blobs/{blob.digest}" for name in upstreams]
        first = Download(daemon.client(), targets[0])
        wait_until(lambda: first.received > 0, "the first bytes")
        others = [Download(daemon.client(), targets[1]) for _ in range(10)]
        for one in (*[each.wait() for each in others], first.wait()):
            self.assertEqual((one.error, one.digest), (None, blob.digest))
        self.assertEqual([len(each.asked()) for each in (slow, quick)], [1, 1])
        for target in targets:
            self.assertEqual(Download(daemon.client(), target).wait().digest, blob.digest)
        self.assertEqual([len(each.asked()) for each in (slow, quick)], [1, 1])


class LostIndexTests(PipelineCase):
    """The index was lost, and the upstream gives no pieces to prove a right with."""

    def test_fetched_afresh_once(self) -> None:
        """What is stored is fetched once more, for all who ask, and is a hit from then on."""
        # Sockets take some MiB of an answer that nobody reads to its end.
        blob, target = self.blob(32 * MIB)
        self.assert_whole(target, blob)
        self.daemon.stop()
        for path in self.daemon.directory.glob("index*"):
            path.unlink()
        self.daemon.start()
        self.upstream.faults.always(target, Fault(ignore_range=True))
        for _ in range(5):
            self.assert_whole(target, blob)
        whole = [one for one in self.upstream.asked() if one.sent == blob.size]
        self.assertEqual(len(whole), 2)


class KillTests(PipelineCase):
    """kill -9, and the start after it."""

    rate = 150e6

    def test_a_download_that_a_kill_broke_is_resumed(self) -> None:
        """kill -9 in the middle of 500 MiB costs at most a tenth of the blob once more."""
        blob, target = self.blob(500 * MIB)
        broken = Download(self.client, target)
        wait_until(lambda: broken.received > 250 * MIB, "half of the blob")
        self.daemon.process.signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.assertNotEqual(broken.wait().digest, blob.digest)
        self.assertEqual(self.stored(), [])
        self.daemon.start()
        self.assert_whole(target, blob)
        self.assertLessEqual(self.upstream.sent_bytes(), 1.1 * blob.size)

    def test_kills_in_the_same_blob(self) -> None:
        """Each costs next to nothing, also where less has come than is recorded by its size."""
        blob, target = self.blob(12 * MIB)
        for number in range(1, 6):
            held = Fault(hold_at=2 * MIB)
            self.upstream.faults.always(target, held)
            broken = Download(self.client, target)
            wait_until(
                lambda number=number: self.recorded() >= 2 * number * MIB, "it is on record", 30
            )
            self.daemon.process.kill()
            broken.wait()
            held.release.set()
            self.daemon.start()
        self.upstream.faults.clear()
        self.assert_whole(target, blob)
        self.assertLessEqual(self.upstream.sent_bytes(), 1.1 * blob.size)

    def recorded(self) -> int:
        """How many bytes count behind a kill, by what lies beside the partial file."""
        found = list((self.daemon.directory / "partial").glob("*.json"))
        present = [json.loads(each.read_text())["present"] for each in found]
        return sum(end - start for intervals in present for start, end in intervals)


class WrongByteTests(SharedPairCase):
    """Bytes that fail their digest."""

    def mismatches(self) -> float:
        """What the metric counts."""
        return self.daemon.metric("regcache_digest_mismatches_total", upstream=UPSTREAM)

    def test_a_wrong_byte_is_never_served_whole_or_kept(self) -> None:
        """The client is aborted, nothing is stored, metric and log say so, the next is right."""
        before = self.mismatches()
        for count, (size, place) in enumerate(
            ((4 * MIB, 2 * MIB), (4 * MIB, 4 * MIB - 1), (900, 5)), 1
        ):
            blob, target = self.blob(size, place)
            stored = self.stored()
            self.upstream.faults.then(target, Fault(wrong_byte_at=place))
            if size > 1 << 16:
                self.assert_aborted(target)
            else:
                self.assertEqual(self.client.get(target).status, 502)
            self.assertEqual(self.stored(), stored)
            self.assertEqual(self.mismatches() - before, count)
            self.assert_logged(self.daemon, blob.digest, UPSTREAM, "digest")
            self.assert_whole(target, blob)
            name = blob.digest.partition(":")[2]
            wait_until(lambda name=name: name in self.stored(), "it is in its place")

    def test_two_pages_of_a_portal(self) -> None:
        """Login pages in the place of a blob of unknown size shut nobody out of it behind them."""
        blob, target = self.blob(MIB)
        page = Fault(body=b"<html>please log in</html>", content_type="text/html")
        self.upstream.faults.then(target, page, page)
        asked = len(self.upstream.asked())
        for _ in range(2):
            self.assertEqual(self.client.get(target).status, 502)
        self.assertEqual(len(self.upstream.asked()), asked + 2)
        self.assert_whole(target, blob)

    def test_a_wrong_byte_in_a_resumed_part(self) -> None:
        """Of a blob from two answers nobody gets the last 64 KiB before it was verified."""
        blob, target = self.blob(4 * MIB)
        self.upstream.faults.then(target, Fault(cut_at=MIB), Fault(wrong_byte_at=7))
        self.assert_aborted(target)
        self.assert_whole(target, blob)

    def test_more_and_fewer_bytes_than_announced(self) -> None:
        """A wrong length comes to no clean end either."""
        for name, fault in (
            ("longer", Fault(framing="chunked", body=bytes(3 * MIB))),
            ("shorter", Fault(framing="close", body=bytes(MIB))),
        ):
            blob, target = self.blob(2 * MIB, name)
            self.upstream.faults.then(target, fault)
            self.assert_aborted(target)
            self.assert_whole(target, blob)


class WrongSizeTests(SharedPairCase):
    """A manifest that states a wrong size."""

    def mention(self, digest: str, size: int) -> None:
        """Have a client pull such a manifest."""
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": size}
        media_type = "application/vnd.oci.image.manifest.v1+json"
        body = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []}
        data = json.dumps(body).encode()
        manifest = self.upstream.add_manifest(REPOSITORY, media_type, data)
        answer = self.client.get(f"/v2/{REPOSITORY}/manifests/{manifest}")
        self.assertEqual(answer.status, 200)

    def test_the_upstream_counts(self) -> None:
        """The blob comes whole, and its size is right from then on."""
        for size in (MIB - 1, MIB + 1, 2**60):
            blob, target = self.blob(MIB, size)
            self.mention(blob.digest, size)
            self.assertEqual(self.client.head(target).headers["content-length"], str(size))
            self.assert_whole(target, blob)
            self.assertEqual(self.client.head(target).headers["content-length"], str(MIB))

    def test_an_upstream_that_states_none(self) -> None:
        """Who was told the wrong size is cut off, and asks again in the end with success."""
        for size in (MIB - 1, MIB + 1):
            blob, target = self.blob(MIB, size)
            self.mention(blob.digest, size)
            self.upstream.faults.always(target, Fault(framing="chunked"))
            self.assert_aborted(target)
            wait_until(self.idle, "everything is freed")
            self.assert_whole(target, blob)
            self.assertEqual(self.client.head(target).headers["content-length"], str(MIB))


class ClientTests(PipelineCase):
    """Clients that take nothing, half-close, reset and leave."""

    limits = {"client_stall": "4s"}

    def open(self, target: str, receive_buffer: int | None = None) -> socket.socket:
        """A connection on which a GET was sent and of whose answer little was read."""
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.daemon.port))
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.assertIn(b" 200 ", connection.recv(1000))
        return connection

    def drain(self, connection: socket.socket) -> int:
        """Read to the end, clean or not; how many bytes came."""
        count = 0
        try:
            while piece := connection.recv(1 << 20):
                count += len(piece)
        except ConnectionError:
            pass
        return count

    def test_clients_that_take_nothing_are_cut_off(self) -> None:
        """After ``client_stall`` they are aborted, and give back reader, file and socket.

        Of a finished file as of a growing one; a client that is merely slow gets all of it.
        """
        blob, target = self.blob(64 * MIB)
        self.assert_whole(target, blob)
        wait_until(self.idle, "the first client is gone")
        sockets = self.daemon.sockets()
        growing, target_growing = self.blob(64 * MIB, "growing")
        self.upstream.faults.always(target_growing, Fault(rate=12e6))
        started = time.monotonic()
        stalled = [self.open(each, 1 << 16) for each in (target, target_growing)]
        slow = Download(
            self.client, target_growing, lambda done: time.sleep(0.02), receive_buffer=1 << 16
        )
        self.assertGreaterEqual(self.daemon.metric("regcache_readers"), 1)
        self.assertGreaterEqual(self.daemon.cache_files(), 2)
        slow.wait()
        self.assertEqual((slow.error, slow.digest), (None, growing.digest))
        self.assertGreater(slow.seconds, 4, "the slow client was not slow")
        wait_until(self.idle, "they are cut off")
        self.assertGreater(time.monotonic() - started, 4)
        # One idle connection to the upstream may be kept.
        wait_until(lambda: self.daemon.sockets() <= sockets + 1, "their sockets are closed")
        for connection in stalled:
            self.assertLess(self.drain(connection), blob.size)
        told = self.assert_logged(self.daemon, "took nothing", times=2)
        self.assertEqual(len(told), 2)

    def test_half_closed_and_reset_connections_free_everything(self) -> None:
        """FIN or RST from clients of a growing blob leaves nothing behind but the download."""
        self.upstream.rate = 20e6
        blob, target = self.blob(24 * MIB)
        sockets = self.daemon.sockets()
        half, cut = self.open(target), self.open(target)
        half.shutdown(socket.SHUT_WR)
        cut.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        cut.close()
        wait_until(lambda: self.daemon.metric("regcache_readers") <= 1, "the reset one is gone")
        self.drain(half)
        wait_until(self.idle, "everything is freed")
        half.close()
        # One idle connection to the upstream may be kept.
        wait_until(lambda: self.daemon.sockets() <= sockets + 1, "the sockets are closed")
        self.assert_whole(target, blob)
        self.assertEqual(self.upstream.sent_bytes(), blob.size)


class LeavingTests(PullThroughCase):
    """What becomes of a download whose only client leaves."""

    def test_it_goes_on_or_parks_and_resumes(self) -> None:
        """At most ``finish`` missing: it goes on. More: it parks, and is resumed from there."""
        for finish, goes_on in (("64MiB", True), ("4MiB", False)):
            upstream = self.faulty_upstream()
            blob = upstream.add_generated_blob(REPOSITORY, 24 * MIB)
            target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
            held = Fault(hold_at=8 * MIB)
            upstream.faults.then(target, held)
            daemon = Regcache(upstream_config(upstream.url))
            self.addCleanup(daemon.close)
            daemon.config["storage"]["finish"] = finish
            daemon.start()
            Download(daemon.client(), target, most=MIB).wait()
            wait_until(
                lambda daemon=daemon: daemon.metric("regcache_readers") == 0, "the client has left"
            )
            held.release.set()

            def over(daemon: Regcache = daemon) -> bool:
                return daemon.metric("regcache_downloads") == 0 and daemon.cache_files() == 0

            wait_until(over, "the download is over")
            if goes_on:
                self.assertEqual(upstream.sent_bytes(), blob.size)
            else:
                self.assertLess(upstream.sent_bytes(), blob.size // 2)
            one = Download(daemon.client(), target).wait()
            self.assertEqual((one.error, one.digest), (None, blob.digest))
            self.assertEqual("hit" in one.headers["cache-status"], goes_on)
            received = daemon.metric("regcache_upstream_bytes_total", upstream=UPSTREAM)
            self.assertLessEqual(received, 1.02 * blob.size, re.escape(finish))
