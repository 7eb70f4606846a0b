"""Which heads of HTTP/2 requests are taken."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.web.http2.head import Field, MalformedHeadError, read_head

METHOD, SCHEME, PATH = (b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/v2/")
AUTHORITY = (b":authority", b"a.example:5")
PSEUDO = (METHOD, SCHEME, PATH, AUTHORITY)


class HeadTests(SynchronousTestCase):
    """Fields in, a head or a refusal out."""

    def assert_malformed(self, *fields: Field) -> None:
        """These fields are no request."""
        self.assertRaises(MalformedHeadError, read_head, fields, ended=True)

    def test_valid(self) -> None:
        """The authority becomes the only Host, and ``te`` is of the connection."""
        head = read_head([*PSEUDO, (b"accept", b"x"), (b"te", b"trailers"), (b"x", b"")])
        self.assertEqual((head.method, head.target), (b"GET", b"/v2/"))
        self.assertEqual(head.fields, ((b"accept", b"x"), (b"x", b""), (b"host", b"a.example:5")))
        self.assertEqual((head.length, head.awaits), (None, False))

    def test_length(self) -> None:
        """A length is a number of up to 18 digits, and comes once."""
        seven = [*PSEUDO, (b"content-length", b"007")]
        self.assertEqual(read_head(seven, ended=False).length, 7)
        self.assert_malformed(*seven)
        self.assertEqual(read_head([*PSEUDO, (b"content-length", b"0")]).length, 0)
        for value in (b"", b"-1", b"+1", b"1_0", b"0x1", b"1, 1", b"1 ", b"9" * 19, b"\xb2"):
            fields = [*PSEUDO, (b"content-length", value)]
            self.assertRaises(MalformedHeadError, read_head, fields, ended=False)
        none = (b"content-length", b"0")
        self.assert_malformed(*PSEUDO, none, none)

    def test_authority_and_host(self) -> None:
        """One of them must be there, and both must say the same."""
        bare = (METHOD, SCHEME, PATH)
        self.assertEqual(read_head([*bare, (b"host", b"b")]).fields, ((b"host", b"b"),))
        both = read_head([*PSEUDO, (b"host", b"A.Example:5")])
        self.assertEqual(both.fields, ((b"host", b"a.example:5"),))
        self.assert_malformed(*bare)
        self.assert_malformed(*PSEUDO, (b"host", b"a.example"))
        self.assert_malformed(*PSEUDO, (b"host", b"other"))
        self.assert_malformed(*bare, (b"host", b""))
        self.assert_malformed(*bare, (b":authority", b""), (b"host", b"b"))
        self.assert_malformed(*bare, (b"host", b"b"), (b"host", b"b"))

    def test_pseudo_fields(self) -> None:
        """Each comes once, before the others, and there are no more than four."""
        self.assert_malformed()
        for index in range(3):
            self.assert_malformed(*PSEUDO[:index], *PSEUDO[index + 1 :])
        for field in PSEUDO:
            self.assert_malformed(*PSEUDO, field)
        self.assert_malformed(METHOD, SCHEME, PATH, (b"x", b"y"), AUTHORITY)
        for name in (b":protocol", b":status", b":", b":Path"):
            self.assert_malformed(*PSEUDO, (name, b"200"))

    def test_request_line(self) -> None:
        """What could not stand in a request line of HTTP/1.1 is refused."""
        for method in (b"", b"G T", b"GET\t", b"GET /", b"G(T", b"\xc3"):
            self.assert_malformed((b":method", method), SCHEME, PATH, AUTHORITY)
        for path in (b"", b"v2/", b"*", b"/ HTTP/1.1", b"/a b", b"/\x7f", b"/\xc3\xa4",
                     b"http://a/", b"/a\r\nX: y"):  # fmt: skip
            self.assert_malformed(METHOD, SCHEME, (b":path", path), AUTHORITY)
        for scheme in (b"", b"http", b"HTTPS", b"https ", b"ftp"):
            self.assert_malformed(METHOD, (b":scheme", scheme), PATH, AUTHORITY)
        star = read_head([(b":method", b"OPTIONS"), SCHEME, (b":path", b"*"), AUTHORITY])
        self.assertEqual(star.target, b"*")
        self.assert_malformed((b":method", b"CONNECT"), AUTHORITY)

    def test_names(self) -> None:
        """Names are lower-case tokens."""
        for name in (b"", b"Accept", b"a b", b"a:", b"a\r\n", b"a\x00", b"\xc3", b"a\n"):
            self.assert_malformed(*PSEUDO, (name, b"x"))

    def test_values(self) -> None:
        """Values hold no line ends, no NUL, and no space at either end."""
        for value in (b"a\r\nb: c", b"a\n", b"\r", b"a\x00b", b" a", b"a ", b"\ta", b"a\t"):
            self.assert_malformed(*PSEUDO, (b"x", value))
            self.assert_malformed(METHOD, SCHEME, PATH, (b":authority", value))

    def test_fields_of_connections(self) -> None:
        """What HTTP/1.1 says of its connection has no place here."""
        for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding",
                     b"upgrade"):  # fmt: skip
            self.assert_malformed(*PSEUDO, (name, b"close"))
        self.assert_malformed(*PSEUDO, (b"te", b"gzip"))
        self.assert_malformed(*PSEUDO, (b"te", b"trailers, gzip"))

    def test_number(self) -> None:
        """There are no more fields than over HTTP/1.1."""
        more = [(b"x", b"y")] * 96
        read_head([*PSEUDO, *more])
        self.assert_malformed(*PSEUDO, *more, (b"x", b"y"))
