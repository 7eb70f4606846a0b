"""GET transfers."""

from typing import Any

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.transfer_calls import (
    GET_TRANSFERS,
    MOST_INTERVALS,
    Traffic,
    TransferFacts,
    transfer_routes,
)
from regcache.cache.download.progress import Progress
from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.images import ImagePart
from tests.support.api import ALICE, ROOT, ApiCase
from tests.support.image_parts import KnownParts

PULL = frozenset({Action.PULL})


def progress(repository: str = "org/app", **changes: Any) -> Progress:
    """A download that is half done."""
    known: dict[str, Any] = {
        "size": 100,
        "here": 50,
        "intervals": ((0, 50),),
        "state": "running",
        "url": "https://a.test:8443/base",
        "started": 1_800_000_000.0,
        "readers": (),
    }
    where = Repository(UpstreamIdentity("a.test"), repository)
    return Progress(RepositoryContent(where, Digest.of(b"x")), **(known | changes))


class TransferCase(ApiCase):
    """Some downloads."""

    def routes(self) -> list[CallRoute]:
        self.transfers = [TransferFacts(progress(), 7, [("alice", "x-1"), ("192.0.2.7", "x-2")])]
        self.known = KnownParts()
        return transfer_routes(
            lambda: Traffic(self.transfers, in_rate=7, out_rate=9), self.known.finder
        )

    def told(self, credentials: str = "") -> Any:
        """The answer."""
        return self.answered(GET_TRANSFERS, self.get("transfers", credentials))


class TransferTests(TransferCase):
    """What is told."""

    def test_item(self) -> None:
        """All that is known; what is not is null."""
        told = self.told()
        self.assertEqual((told["in_bytes_per_s"], told["out_bytes_per_s"]), (7, 9))
        (item,) = told["items"]
        self.assertEqual((item["names"], item["host"]), (["a.test/org/app"], "a.test:8443"))
        self.assertEqual((item["here_bytes"], item["intervals"]), (50, [[0, 50]]))
        self.assertEqual(item["started"], "2027-01-15T08:00:00Z")
        self.assertEqual([each["principal"] for each in item["readers"]], ["alice", "192.0.2.7"])
        self.assertEqual([each["request"] for each in item["readers"]], ["x-1", "x-2"])
        self.assertEqual((item["part"], item["image"]), (None, None))

    def test_image(self) -> None:
        """The image and the layer, looked up until they are known, and then no more."""
        (digest, part) = Digest.of(b"x"), ImagePart("1", "linux/amd64", (2, 3))
        self.told()
        self.known.parts[digest] = part
        for _ in range(2):
            (item,) = self.told()["items"]
            self.assertEqual(item["part"], {"index": 2, "of": 3})
            image = {"name": "a.test/org/app", "reference": "1", "platform": "linux/amd64"}
            self.assertEqual(item["image"], image)
        self.assertEqual(len(self.known.asked), 2)
        self.transfers, transfers = [], self.transfers
        self.told()
        self.transfers = transfers
        self.told()
        self.assertEqual(len(self.known.asked), 3)

    def test_index_fails(self) -> None:
        """While the index cannot answer, the rest is told."""
        self.known.fails = True
        (item,) = self.told()["items"]
        self.assertEqual((item["here_bytes"], item["part"]), (50, None))

    def test_unknown(self) -> None:
        """Before an answer nothing is known."""
        waiting = progress(size=None, here=0, intervals=(), state="waiting", url="")
        self.transfers = [TransferFacts(waiting, None, [])]
        (item,) = self.told()["items"]
        self.assertEqual((item["size_bytes"], item["host"], item["intervals"]), (None, None, []))

    def test_intervals(self) -> None:
        """Of many intervals the longest are told, in their order."""
        many = tuple((start, start + 1) for start in range(0, 400, 2))
        far = (1000, 2000)
        self.transfers = [TransferFacts(progress(intervals=(*many, far)), 1, [])]
        (item,) = self.told()["items"]
        self.assertEqual(len(item["intervals"]), MOST_INTERVALS)
        self.assertEqual(item["intervals"][-1], [1000, 2000])
        self.assertEqual(item["intervals"], sorted(item["intervals"]))


class SightTests(TransferCase):
    """Who sees what."""

    rules = (Rule(frozenset({"alice"}), Grant(PULL, None, ("org/*",))),)

    def test_sight(self) -> None:
        """An account sees what it may pull, no sums, and of the readers itself."""
        self.transfers.append(TransferFacts(progress("secret/app"), 1, []))
        told = self.told(ALICE)
        self.assertEqual((told["in_bytes_per_s"], told["out_bytes_per_s"]), (None, None))
        (item,) = told["items"]
        self.assertEqual(item["names"], ["a.test/org/app"])
        self.assertEqual([each["principal"] for each in item["readers"]], ["alice", None])
        self.assertEqual(len(self.told()["items"]), 2)


class EverythingTests(TransferCase):
    """An account that may pull everything, as without any rules."""

    def test_readers(self) -> None:
        """It sees the sums, and of the readers itself alone; who asks on the machine sees all."""
        told = self.told(ALICE)
        self.assertEqual((told["in_bytes_per_s"], told["out_bytes_per_s"]), (7, 9))
        for who, seen in (
            (ALICE, ["alice", None]),
            (ROOT, ["alice", "192.0.2.7"]),
            ("", ["alice", "192.0.2.7"]),
        ):
            (item,) = self.told(who)["items"]
            self.assertEqual([each["principal"] for each in item["readers"]], seen, who)
