"""DNS messages, well-formed and hostile."""

import random
import struct

from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from regcache.upstream.dns_messages import (
    MalformedMessageError,
    Question,
    RecordType,
    StrayAnswerError,
    decode_reply,
    encode_query,
)
from tests.upstream.name_cases import QUERY, QUESTION, address, alias, answer, asked_for


class MessageTests(SynchronousTestCase):
    """Messages, well-formed and hostile."""

    def decode(self, data: bytes) -> object:
        """Read an answer to the question."""
        return decode_reply(data, 7, QUESTION)

    def test_query(self) -> None:
        """A query is read by others as it was meant."""
        message = dns.Message()
        message.fromStr(QUERY)
        self.assertEqual((message.id, message.recDes, message.answer), (7, 1, 0))
        self.assertEqual(asked_for(QUERY), ("registry.test", dns.A))
        for name in ("", "a..b", "x" * 64, ".".join(["x" * 60] * 5)):
            self.assertRaises(ValueError, encode_query, 7, Question(name, RecordType.A))

    def test_addresses(self) -> None:
        """Addresses of the kind that was asked for, and of the name that was asked for."""
        reply = self.decode(
            answer(
                QUERY,
                address("registry.test", "203.0.113.1"),
                address("Registry.TEST", "203.0.113.2", 30),
                address("other.test", "203.0.113.3"),
                address("registry.test", "2001:db8::1"),
            )
        )
        self.assertEqual(reply.addresses, ("203.0.113.1", "203.0.113.2"))
        self.assertEqual((reply.alias, reply.ttl, reply.code), ("", 30, 0))

    def test_aliases(self) -> None:
        """Aliases are followed in any order; where they end without address is told."""
        chain = (alias("b.test", "c.test", 9), alias("registry.test", "b.test"))
        reply = self.decode(answer(QUERY, *chain, address("c.test", "203.0.113.1")))
        self.assertEqual((reply.addresses, reply.alias, reply.ttl), (("203.0.113.1",), "c.test", 9))
        self.assertEqual(self.decode(answer(QUERY, *chain)).alias, "c.test")

    def test_aliases_in_a_circle(self) -> None:
        """Aliases without end are refused."""
        circle = (alias("registry.test", "b.test"), alias("b.test", "registry.test"))
        self.assertRaises(MalformedMessageError, self.decode, answer(QUERY, *circle))
        self.assertRaises(
            MalformedMessageError,
            self.decode,
            answer(QUERY, alias("registry.test", "registry.test")),
        )

    def test_not_ours(self) -> None:
        """Another identifier, a query, and the answer to another question are not ours."""
        for query in (
            encode_query(8, QUESTION),
            encode_query(7, Question("registry.test", RecordType.AAAA)),
            encode_query(7, Question("other.test", RecordType.A)),
        ):
            self.assertRaises(StrayAnswerError, self.decode, answer(query))
        self.assertRaises(StrayAnswerError, self.decode, QUERY)

    def test_many_addresses(self) -> None:
        """However many there are, eight are enough."""
        many = [address("registry.test", f"203.0.113.{number}") for number in range(200)]
        self.assertEqual(len(self.decode(answer(QUERY, *many)).addresses), 8)

    def test_truncated(self) -> None:
        """A message that ends early may do so if it says so."""
        pair = [address("registry.test", f"203.0.113.{number}") for number in (1, 2)]
        whole = answer(QUERY, *pair, truncated=True)
        reply = self.decode(whole[:-3])
        self.assertEqual((reply.truncated, reply.addresses), (True, ("203.0.113.1",)))
        self.assertRaises(MalformedMessageError, self.decode, answer(QUERY, *pair)[:-3])

    def test_cve_2026_42304_compressed_names(self) -> None:
        """Pointers to themselves, forwards, in a circle or in long chains end the reading."""
        head = struct.pack("!HHHHHH", 7, 0x8000, 1, 1, 0, 0) + QUERY[12:]
        here = len(head)
        chain = b"".join(
            struct.pack("!H", 0xC000 | (here + 2 * (n - 1) if n else 12)) for n in range(100)
        )
        for names in (
            struct.pack("!H", 0xC000 | here),
            struct.pack("!H", 0xC000 | here + 4) + b"\1a\0" * 5,
            b"\1a" + struct.pack("!H", 0xC000 | here),
            b"\x80\0",
            b"\x3f" + b"x" * 10,
            (b"\x3f" + b"x" * 63) * 5 + b"\0",
        ):
            data = head + names + b"\0\1\0\1\0\0\0\1\0\4\x01\x02\x03\x04"
            self.assertRaises(MalformedMessageError, self.decode, data)
        rest = b"\0\5\0\1\0\0\0\1" + struct.pack("!H", len(chain)) + chain
        owner = struct.pack("!H", 0xC000 | 12)
        begun = head + owner + rest[:10]
        links = [len(begun) + 2 * n for n in range(100)]
        pointers = [struct.pack("!H", 0xC000 | place) for place in [12, *links]]
        long_chain = begun + b"".join(pointers[:100])
        second = pointers[100] + b"\0\1\0\1\0\0\0\1\0\4\x01\x02\x03\x04"
        two = long_chain[:6] + b"\0\2" + long_chain[8:] + second
        self.assertRaises(MalformedMessageError, self.decode, two)

    def test_any_bytes(self) -> None:
        """Any bytes are read or refused, and raise nothing else."""
        chance = random.Random(1)
        whole = answer(QUERY, alias("registry.test", "b.test"), address("b.test", "203.0.113.1"))
        for _ in range(3000):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(2, len(data))] = chance.randrange(256)
            try:
                self.decode(bytes(data[: chance.randrange(len(data) + 1)]))
            except (StrayAnswerError, MalformedMessageError):
                continue

    def test_time_to_live(self) -> None:
        """A time to live with the highest bit set is none (RFC 2181, 8)."""
        data = bytearray(answer(QUERY, address("registry.test", "203.0.113.1", 5)))
        data[-10] |= 0x80
        self.assertEqual(self.decode(bytes(data)).ttl, 0)
