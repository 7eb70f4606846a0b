"""The files of the web UI, read once: what each is answered with, and under which paths.

Everything but the page itself stands below a folder that is named after the content of all files,
so that a browser may keep it for good, and never mixes files of two versions.
"""

import hashlib
import html
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from regcache.light_dataclass import dataclass

#: Where the files are.
FOLDER = Path(__file__).parent / "ui"
#: The path below which all files but the page are.
PREFIX = "/ui/"
_PAGE_NAME = "index.html"
#: What is answered, by the end of its name; everything else stays here (licences, for instance).
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_PAGE_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class UiFile:
    """One answer.

    :ivar etag: its quoted entity tag.
    """

    body: bytes
    media_type: str
    etag: str


class UiFiles:
    """All files of the UI.

    :ivar version: names what all of them hold.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.version = _version(contents)
        self._page = contents[_PAGE_NAME].decode("utf-8")
        self._modules = [name for name in sorted(contents) if name.endswith(".js")]
        self._files = {
            f"{PREFIX}{self.version}/{name}": _file(content, _TYPES[suffix])
            for name, content in contents.items()
            if (suffix := Path(name).suffix) in _TYPES
        }
        self._titled = lru_cache(maxsize=4)(self._make_page)

    def find(self, path: str) -> UiFile | None:
        """What is answered at a path; None for nothing, and for the page."""
        return self._files.get(path)

    def page(self, title: str) -> UiFile:
        """The page, with the title that the operator wants."""
        return self._titled(title)

    def _make_page(self, title: str) -> UiFile:
        folder = f"{PREFIX.removeprefix('/')}{self.version}"
        preload = "\n".join(
            f'  <link rel="modulepreload" href="{folder}/{name}">' for name in self._modules
        )
        text = self._page.replace("{{folder}}", folder).replace("{{modules}}", preload.strip())
        return _file(text.replace("{{title}}", html.escape(title)).encode("utf-8"), _PAGE_TYPE)


def read_ui_files(folder: Path = FOLDER) -> UiFiles:
    """Read them. Blocks."""
    paths = sorted(each for each in folder.rglob("*") if each.is_file())
    return UiFiles({each.relative_to(folder).as_posix(): each.read_bytes() for each in paths})


def _file(body: bytes, media_type: str) -> UiFile:
    return UiFile(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _version(contents: Mapping[str, bytes]) -> str:
    found = hashlib.sha256()
    for name, content in sorted(contents.items()):
        found.update(f"{name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()[:16]
