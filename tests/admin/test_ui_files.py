"""The files of the web UI, and how they are answered."""

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.ui_files import FOLDER, UiFiles, read_ui_files
from regcache.admin.ui_pages import CONTENT_SECURITY_POLICY, UiPages
from regcache.web.respond import send_text
from tests.support.web_client import Answer, MemoryClient, make_site

CONTENTS = {
    "index.html": b"<title>{{title}}</title>\n{{modules}}\n"
    b"<script src={{folder}}/js/app.js></script>",
    "js/app.js": b"export {};",
    "css/app.css": b"a {}",
    "vendor/x/LICENSE": b"MIT",
}


class PageCase(SynchronousTestCase):
    """A site that answers with the UI, and with ``other`` to what is none of it."""

    def setUp(self) -> None:
        self.files = UiFiles(CONTENTS)
        self.folder = f"/ui/{self.files.version}"
        self.title = "regcache"
        pages = UiPages(self.files, lambda: self.title)
        self.site = make_site(
            lambda request: None if pages.answer(request) else send_text(request, "other")
        )

    def get(self, target: str, *fields: str, method: str = "GET") -> Answer:
        """The answer to a request."""
        client = MemoryClient(self.site)
        client.request(method, target, *fields)
        return client.answer(heads_only=method == "HEAD")


class AnswerTests(PageCase):
    """What is answered."""

    def test_page(self) -> None:
        """The page names its files relatively, below their version, and is asked for each time."""
        answer = self.get("/")
        script = f"<script src=ui/{self.files.version}/js/app.js>".encode()
        self.assertIn(script, answer.body)
        self.assertIn(f'href="ui/{self.files.version}/js/app.js"'.encode(), answer.body)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(answer.headers["cache-control"], "no-cache")

    def test_title(self) -> None:
        """The title is that of the configuration in force, as text."""
        first = self.get("/")
        self.title = "<b>R&D</b>"
        second = self.get("/")
        self.assertIn(b"<title>&lt;b&gt;R&amp;D&lt;/b&gt;</title>", second.body)
        self.assertNotEqual(first.headers["etag"], second.headers["etag"])

    def test_files(self) -> None:
        """A file is kept by browsers for good, under the name of this version only."""
        for name, kind in (
            ("js/app.js", "text/javascript; charset=utf-8"),
            ("css/app.css", "text/css; charset=utf-8"),
        ):
            answer = self.get(f"{self.folder}/{name}?x=1")
            self.assertEqual((answer.status, answer.body), (200, CONTENTS[name]))
            self.assertEqual(answer.headers["content-type"], kind)
            self.assertIn("immutable", answer.headers["cache-control"])
        for path in ("/ui/0/js/app.js", "/js/app.js", f"{self.folder}/vendor/x/LICENSE",
                     f"{self.folder}/index.html", f"{self.folder}/../index.html", "/index.html",
                     f"{self.folder}/js/%61pp.js"):  # fmt: skip
            self.assertEqual(self.get(path).body, b"other", path)

    def test_head(self) -> None:
        """HEAD has the headers of GET; other methods are not for the UI."""
        for target in ("/", f"{self.folder}/js/app.js"):
            asked, whole = self.get(target, method="HEAD"), self.get(target)
            self.assertEqual((asked.status, asked.body), (200, b""))
            for name in ("content-length", "etag", "content-type", "content-security-policy"):
                self.assertEqual(asked.headers[name], whole.headers[name])
            self.assertEqual(self.get(target, method="POST").body, b"other")

    def test_conditional(self) -> None:
        """What a browser has already is not sent again."""
        for target in ("/", f"{self.folder}/js/app.js"):
            tag = self.get(target).headers["etag"]
            again = self.get(target, f"If-None-Match: {tag}")
            self.assertEqual((again.status, again.body), (304, b""))
            self.assertEqual(self.get(target, 'If-None-Match: "x"').status, 200)

    def test_headers(self) -> None:
        """Each answer holds the browser to the policy."""
        for target in ("/", f"{self.folder}/js/app.js"):
            headers = self.get(target).headers
            self.assertEqual(headers["content-security-policy"], CONTENT_SECURITY_POLICY)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["referrer-policy"], "no-referrer")
            self.assertEqual(headers["cross-origin-opener-policy"], "same-origin")
            self.assertEqual(headers["cross-origin-resource-policy"], "same-origin")

    def test_version(self) -> None:
        """Another content of any file is another version."""
        others = [CONTENTS | {"css/app.css": b"b {}"}, CONTENTS | {"css/b.css": b""}]
        versions = {UiFiles(each).version for each in (CONTENTS, *others)}
        self.assertEqual(len(versions), 3)


class ShippedTests(SynchronousTestCase):
    """The files that are there."""

    def test_policy(self) -> None:
        """The page has no script and no style of its own, which the policy would refuse."""
        text = (FOLDER / "index.html").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), [])

    def test_references(self) -> None:
        """Each file that the page names is there."""
        text = (FOLDER / "index.html").read_text(encoding="utf-8")
        files = read_ui_files()
        for name in re.findall(r"\{\{folder}}/([^\"]+)", text):
            self.assertIsNotNone(files.find(f"/ui/{files.version}/{name}"), name)

    def test_modules(self) -> None:
        """Modules are small, each named once, and import relatively what is there."""
        modules = sorted((FOLDER / "js").rglob("*.js"))
        self.assertGreater(len(modules), 10)
        for path in modules:
            text = path.read_text(encoding="utf-8")
            self.assertLessEqual(len(text.splitlines()), 400, path.name)
            for name in re.findall(r"^(?:import|export)\b[^;]*?from \"([^\"]+)\"", text, re.M):
                self.assertTrue(name.startswith("."), f"{path.name}: {name}")
                self.assertTrue((path.parent / name).is_file(), f"{path.name}: {name}")

    def test_unsafe(self) -> None:
        """Nothing makes HTML of strings, nor sets styles by attributes."""
        for path in (FOLDER / "js").rglob("*.js"):
            text = path.read_text(encoding="utf-8")
            found = re.findall(r"innerHTML|outerHTML|insertAdjacent|unsafe|\sstyle=|eval\(", text)
            self.assertEqual(found, [], path.name)


def texts_of(name: str) -> dict[str, str]:
    """The texts of a language."""
    found: dict[str, str] = json.loads((FOLDER / "locales" / f"{name}.json").read_text("utf-8"))
    return found


class LocaleTests(SynchronousTestCase):
    """The languages."""

    def setUp(self) -> None:
        self.languages = {
            path.stem: texts_of(path.stem) for path in Path(FOLDER, "locales").iterdir()
        }

    def test_keys(self) -> None:
        """All languages have the same texts; forms for one (``#one``) only where there are some."""
        self.assertEqual(set(self.languages), {"en", "zh-CN"})
        keys = [{key.split("#")[0] for key in texts} for texts in self.languages.values()]
        self.assertEqual(keys[0] ^ keys[1], set())
        for texts in self.languages.values():
            self.assertEqual([key for key in texts if key.split("#")[0] not in texts], [])

    def test_placeholders(self) -> None:
        """Each text names the same values in all languages."""
        english, chinese = self.languages["en"], self.languages["zh-CN"]
        for key, text in english.items():
            other = chinese[key.split("#")[0]]
            found, expected = (set(re.findall(r"\{(\w+)\}", each)) for each in (text, other))
            if "#" in key:
                self.assertLessEqual(found, expected | {"n"}, key)
            else:
                self.assertEqual(found, expected, key)

    def test_used(self) -> None:
        """Every text that a module names is there."""
        english = self.languages["en"]
        for path in (FOLDER / "js").rglob("*.js"):
            named = re.findall(r"\bt[tc]?\(\s*\"([^\"]+)\"", path.read_text(encoding="utf-8"))
            self.assertEqual([key for key in named if key not in english], [], path.name)
