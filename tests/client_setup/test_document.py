"""docs/clients.md: its files are those that client-config makes."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.guide import TOOLS, guide_for
from regcache.client_setup.located import locate_registries
from regcache.client_setup.served import ListeningPlace, ServedHere, ServedRegistry
from regcache.client_setup.steps import MARK, SetUp
from tests.client_setup.cases import files

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"
SERVED = ServedHere(
    [ListeningPlace("https", 443, names=("cache.example.com",))],
    [
        ServedRegistry("docker.io", server="https://registry-1.docker.io"),
        ServedRegistry("ghcr.io", server="https://ghcr.io"),
    ],
    default_upstream="docker.io",
)
#: A path, alone or at the beginning of a line, and the file behind it.
_FILE = re.compile(r"^`(/etc/[^`]+)`[^\n]*\n\n```\w+\n(.*?)```$", re.MULTILINE | re.DOTALL)


class DocumentTests(SynchronousTestCase):
    """The document."""

    def test_files(self) -> None:
        """Every file in it is made by client-config, and every file of client-config is in it."""
        made: dict[str, str] = {}
        for tool in TOOLS:
            made |= files(guide_for(tool, SetUp(locate_registries(SERVED))))
        plain = {path: text.removeprefix(f"{MARK}\n").lstrip("\n") for path, text in made.items()}
        shown = dict(_FILE.findall(DOCUMENT.read_text(encoding="utf-8")))
        self.maxDiff = None
        self.assertEqual(shown, plain)

    def test_order(self) -> None:
        """Clients come first, the truth table last."""
        heads = re.findall("^## (.*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual((heads[0], heads[-1]), ("Docker", "Which upstream answers"))
