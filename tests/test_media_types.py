"""Which media types a client takes."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    accepts,
    base_type,
)


class AcceptTests(SynchronousTestCase):
    """The Accept header (RFC 9110, 12.5.1)."""

    def test_takes(self) -> None:
        """Types in any line and order, ranges, and no header at all take a type."""
        for lines in (
            [],
            [""],
            ["*/*"],
            ["application/*"],
            [OCI_INDEX],
            [OCI_INDEX.upper()],
            [f"{OCI_INDEX};q=0.5"],
            [f"{OCI_INDEX}; q=1"],
            [f"text/html, {OCI_INDEX}"],
            [OCI_MANIFEST, DOCKER_LIST, OCI_INDEX],
            [OCI_MANIFEST, "*/*;q=0.1"],
            ["*/*;q=0", OCI_INDEX],
            [f"{OCI_INDEX};q=0, {OCI_INDEX}"],
            [f"{OCI_INDEX};q="],
        ):
            self.assertTrue(accepts(lines, OCI_INDEX), lines)

    def test_takes_not(self) -> None:
        """Other types do not, nor does the weight 0, however wide another range is."""
        for lines in (
            [OCI_MANIFEST],
            [DOCKER_LIST, DOCKER_MANIFEST],
            ["application/json"],
            ["text/*"],
            [f"{OCI_INDEX};q=0"],
            [f"{OCI_INDEX}; Q=0.000"],
            [f"*/*, {OCI_INDEX};q=0"],
            ["application/*;q=0, */*"],
            ["*/*;q=0."],
        ):
            self.assertFalse(accepts(lines, OCI_INDEX), lines)

    def test_base_type(self) -> None:
        """Parameters, white space and case do not matter."""
        self.assertEqual(base_type(" Application/JSON ; charset=utf-8"), "application/json")
        self.assertEqual(base_type(""), "")
