"""What the tests of small blobs begin with."""

import os
from typing import Any

from tests.support.download_case import KIB, DownloadTestCase, make_content


class SmallCase(DownloadTestCase):
    """An upstream with a blob of 40 KiB, in four chunks."""

    def setUp(self) -> None:
        """A small blob."""
        super().setUp()
        self.content = make_content(40 * KIB, seed=11)
        self.digest = self.registry.add(self.content)

    def fetch(self) -> Any:
        """What stands in the table."""
        return self.caches.downloads._get(self.digest, self.registry.identity)

    def partials(self) -> list[str]:
        """What lies in the folder of partial files."""
        return os.listdir(os.path.join(self.directory, "partial"))

    def statuses(self, *openings: Any) -> list[str]:
        """How answers came about; the clients leave."""
        opened = [self.successResultOf(opening) for opening in openings]
        for each in opened:
            each.reader.leave()
        return [each.status.outcome for each in opened]
