"""The modules of the web UI, tried one by one in a real browser, and hostile text on its pages."""

import json
from typing import Any, ClassVar

from tests.integration.ui_base import HUB, UiCase, shelf
from tests.support import images
from tests.support.devtools import Tab

_HOSTILE = "a\u202e\u0000<img src=x onerror=alert(1)>\u200b{{x}}"
_SHOWN = "a\\u202e\\u0000<img src=x onerror=alert(1)>\\u200b{{x}}"


class ModuleTests(UiCase):
    """Functions that pages are made of."""

    def setUp(self) -> None:
        super().setUp()
        self.tab = self.open()

    def told(self, module: str, script: str) -> Any:
        """What a script gives with the names of a module below ``js/`` in ``m``."""
        script = f"return JSON.stringify(await (async () => {{ {script} }})())"
        made = (
            "(async () => { const base = document.querySelector('script[type=module]').src;"
            f" const m = await import(new URL({json.dumps(module)}, base).href); {script} }})()"
        )
        return json.loads(self.tab.run(made))

    def test_hostile(self) -> None:
        """What has no shape or turns the direction is shown by its number, and nothing is HTML."""
        text = json.dumps(_HOSTILE)
        self.assertEqual(self.told("core/hostile.js", f"return m.plain({text})"), _SHOWN)
        shown = self.told(
            "core/hostile.js",
            "const lit = await import(new URL('../vendor/lit-html/lit-html.js', base).href);"
            "const at = document.createElement('p'); const found = [];"
            f"for (const each of [{text}, 'x'.repeat(5000), 'a\\n\\tb',"
            " '\\ud800', '\\u{e0041}']) {"
            " lit.render(lit.html`${m.hostile(each)}`, at);"
            " found.push([at.querySelector('bdi').textContent, at.querySelectorAll('img').length,"
            " at.querySelectorAll('button').length]); }"
            "lit.render(lit.html`${m.hostile('a\\n\\tb', {hasLines: true})}`, at);"
            "found.push(at.textContent); return found;",
        )
        first, long, lines, lone, tag, kept = shown
        self.assertEqual(first, [_SHOWN, 0, 0])
        self.assertEqual((len(long[0]), long[2]), (2048, 1))
        self.assertEqual(lines[0], "a\\u000a\\u0009b")
        self.assertEqual((lone[0], tag[0], kept), ("\\ud800", "\\u{e0041}", "a\n\tb"))

    def test_code_block(self) -> None:
        """A file to copy is shown whole, however long, and copied whole."""
        text = "line\n" * 2000
        shown = self.told(
            "widgets/code.js",
            "const lit = await import(new URL('../vendor/lit-html/lit-html.js', base).href);"
            "const at = document.createElement('div'); let copied = '';"
            "navigator.clipboard.writeText = async (text) => { copied = text; };"
            f"const block = {{ kind: 'file', path: '/etc/x', text: {json.dumps(text)} }};"
            "lit.render(m.codeBlock(block), at); at.querySelector('button').click();"
            "return [at.querySelector('pre').textContent, copied,"
            " at.querySelectorAll('button').length];",
        )
        self.assertEqual(shown, [text, text, 1])

    def test_more_rows(self) -> None:
        """A user who asks for more rows gets them, also during another question."""
        shown = self.told(
            "core/resource.js",
            "const asked = [];"
            "const page = (cursor) => new Promise((done) => asked.push([cursor, done]));"
            "const answer = async () => { const [cursor, done] = asked.shift();"
            " const at = Number(cursor ?? 0);"
            " done({ items: [at], next: at < 2 ? String(at + 1) : null });"
            " await new Promise((then) => setTimeout(then)); };"
            "const rows = new m.PagedResource(page); const found = [];"
            "const see = () => found.push([...rows.value, rows.isLoading]);"
            "rows.refresh(); await answer(); see();"
            "rows.refresh(); rows.more(); await answer(); await answer(); see();"
            "rows.renew(); see();"
            "rows.refresh(); await answer(); see();"
            "rows.more(); rows.renew(); rows.refresh(); asked.shift();"
            " await answer(); await answer(); see();"
            "rows.more(); rows.begin(); asked.shift(); await answer(); see();"
            "rows.renew(); see(); await answer(); see();"
            "rows.close(); rows.more(); return [found, asked.length];",
        )
        expected = [[0, False], [0, 1, False], [0, 1, False], [0, False], [0, 1, False]]
        expected += [[0, False], [0, True], [0, False]]
        self.assertEqual(shown, [expected, 0])

    def test_older_answer(self) -> None:
        """What follows the rows of an older answer that comes later is not asked for."""
        shown = self.told(
            "core/resource.js",
            "const asked = [];"
            "const rows = new m.PagedResource((cursor) =>"
            " new Promise((done) => asked.push([cursor, done])));"
            "const answer = async (at, items, next) => { asked[at][1]({ items, next, total: at });"
            " await new Promise((then) => setTimeout(then)); };"
            "rows.refresh(); rows.begin();"
            "await answer(1, ['new'], 'n'); await answer(0, ['old'], 'o');"
            "const found = [rows.value, rows.next, rows.total];"
            "rows.more(); return [found, asked[2][0]];",
        )
        self.assertEqual(shown, [[["new"], "n", 1], "n"])

    def test_first_opening(self) -> None:
        """What changed after a page was read, and before the stream was there, is asked for."""
        shown = self.told(
            "core/events.js",
            "const made = []; const real = window.EventSource;"
            "window.EventSource = class { constructor() { made.push(this); }"
            " addEventListener() {} close() {} };"
            "const stream = new m.EventStream(); let told = 0;"
            "stream.on('reset', () => { told += 1; });"
            "stream.start(); const found = [told]; made[0].onopen(); found.push(told);"
            "stream.stop(); window.EventSource = real; return found;",
        )
        self.assertEqual(shown, [0, 1])

    def test_disabled_button(self) -> None:
        """A button that cannot be pressed looks so, whichever kind it is of."""
        shown = self.told(
            "widgets/basics.js",
            "const lit = await import(new URL('../vendor/lit-html/lit-html.js', base).href);"
            "const at = document.body.appendChild(document.createElement('p'));"
            "const look = (classes, isDisabled) => {"
            " lit.render(m.button({ label: 'x', classes, isDisabled, run() {} }), at);"
            " const { color, backgroundColor, cursor } = getComputedStyle(at.firstElementChild);"
            " return [color, backgroundColor, cursor].join(); };"
            "return ['', 'p', 'danger', 'dangerp', 'q'].map((each) =>"
            " [look(each, true), look(each, false)]);",
        )
        self.assertEqual(len({disabled for disabled, _ in shown}), 1, shown)
        self.assertNotIn(shown[0][0], [enabled for _, enabled in shown])

    def test_sentences(self) -> None:
        """A sentence leaves out what is not known, where it can."""
        params = {"upstream": "up.test", "host": "h", "bytes_per_s": 1 << 20}
        for median, end in ((None, "/s."), (1 << 21, "days is 2.00\u00a0MiB/s.")):
            told = {"code": "slow.upstream", "params": {**params, "median_bytes_per_s": median}}
            shown = self.told(
                "core/sentences.js",
                "const lit = await import(new URL('../vendor/lit-html/lit-html.js', base).href);"
                "const at = document.createElement('p');"
                f"lit.render(lit.html`${{m.sentence({json.dumps(told)})}}`, at);"
                "return at.textContent;",
            )
            self.assertTrue(shown.endswith(end), shown)

    def test_upstream_state(self) -> None:
        """An upstream that failed when it was asked last is not said to answer."""
        shown = self.told(
            "widgets/upstream_state.js",
            "const lit = await import(new URL('../vendor/lit-html/lit-html.js', base).href);"
            "const at = document.createElement('p');"
            "return ['2026-01-01T00:00:00Z', null].map((since) => {"
            " lit.render(m.upstreamState({ state: 'ok', since }), at);"
            " return at.textContent.trim(); });",
        )
        self.assertEqual(shown, ["failed last", "answers"])

    def test_formats(self) -> None:
        """Sizes are binary and have three figures; what is unknown is a dash."""
        expected = {
            "size": {0: "0 B", 999: "999 B", 1000: "0.98 KiB", 1048576: "1.00 MiB",
                     152471337: "145 MiB", 2**44: "16.0 TiB"},
            "duration": {0: "< 1 ms", 7: "7 ms", 1500: "1.50 s", 59000: "59.0 s",
                         61000: "1 min 1 s", 7260000: "2 h 1 min", 172800000: "2 days"},
            "percent": {0.5: "50 %", 1: "100 %"},
            "typedSize": {0: "0B", 1023: "1023B", 20 * 2**30: "20GiB", 2**20 + 2**19: "1536KiB"},
        }  # fmt: skip
        for name, values in expected.items():
            found = self.told(
                "core/format.js", f"return {json.dumps(list(values))}.map(each => m.{name}(each))"
            )
            self.assertEqual([each.replace("\xa0", " ") for each in found], list(values.values()))
        self.assertEqual(
            self.told("core/format.js", "return [m.size(null), m.ago(null)]"), ["\u2013"] * 2
        )

    #: What is typed, and what is meant.
    MEANT: ClassVar = {
        "nginx": ["docker.io/library/nginx", "latest"],
        " nginx:1.29 ": ["docker.io/library/nginx", "1.29"],
        "bitnami/redis": ["docker.io/bitnami/redis", "latest"],
        "docker.io/nginx": ["docker.io/library/nginx", "latest"],
        "index.docker.io/a/b:1": ["docker.io/a/b", "1"],
        "ghcr.io/org/app@sha256:aa": ["ghcr.io/org/app", "sha256:aa"],
        "ghcr.io/org/app:1@sha256:aa": ["ghcr.io/org/app", "sha256:aa"],
        "cache.example:5000/ghcr.io/org/app:2": ["ghcr.io/org/app", "2"],
        "docker.cache.example/library/node": ["docker.io/library/node", "latest"],
        "docker://ghcr.io/a/b": ["ghcr.io/a/b", "latest"],
        "quay.example/a/b": None,
        "ghcr.io": None,
        "": None,
    }

    def test_image_names(self) -> None:
        """Names are taken as people type them, also below this proxy; others are none."""
        known = [
            {
                "name": "docker.io",
                "aliases": ["index.docker.io"],
                "hosts": ["docker.cache.example"],
            },
            {"name": "ghcr.io", "aliases": [], "hosts": []},
        ]
        script = (
            f"return {json.dumps(list(self.MEANT))}.map(each => m.meantImage(each,"
            f" {json.dumps(known)})).map(each => each && [each.name, each.reference])"
        )
        found = self.told("core/image_names.js", script)
        self.assertEqual(dict(zip(self.MEANT, found, strict=True)), self.MEANT)

    def test_links(self) -> None:
        """Links are made of valid names alone."""
        cases = [
            ["docker.io/library/nginx", "1.29"],
            ["docker.io/a/b", "sha256:" + "a" * 64],
            ["docker.io/a", None],
            ["javascript:alert(1)", None],
            ["docker.io/../x", None],
            ["docker.io/a/b", "x y"],
            ["docker.io", None],
        ]
        found = self.told(
            "widgets/names.js", f"return {json.dumps(cases)}.map(each => m.imageHref(...each))"
        )
        self.assertEqual(
            found,
            ["#/images/docker.io/library/nginx:1.29", f"#/images/docker.io/a/b@sha256:{'a' * 64}",
             "#/images/docker.io/a", "", "", "", ""],
        )  # fmt: skip

    def test_places(self) -> None:
        """The address behind # is read as it is written, broken escapes too."""
        found = self.told(
            "core/router.js",
            "return ['#/images/a/b:1?q=x%20y', '#/', '', '#/images/%E0%A4%A', '#/requests/r-1']"
            ".map(m.place).map(({page, rest, query}) => [page, rest, query.get('q')])",
        )
        self.assertEqual(
            found,
            [["images", "a/b:1", "x y"], ["", "", None], ["", "", None],
             ["images", "%E0%A4%A", None], ["requests", "r-1", None]],
        )  # fmt: skip


class HostileTests(UiCase):
    """What strangers wrote into an image."""

    def test_image(self) -> None:
        """Labels and history of an attacker are text, cut and harmless; the page stays whole."""
        tab = self.open_image()
        tab.wait_text(_SHOWN)
        tab.wait_text("show all")
        self.assertEqual(tab.run("document.querySelectorAll('main img, main script').length"), 0)
        self.check(tab)
        tab.click("main button", "show all")
        tab.wait("!document.querySelector('main').innerText.includes('show all')")

    def open_image(self) -> Tab:
        """The page of an image whose configuration is hostile."""
        layer = images.gzip_layer("hostile", 1000)
        made = images.image([layer])
        config = json.loads(made.blobs[0].data)
        config["config"]["Labels"] = {_HOSTILE: _HOSTILE, "long": "y" * 20_000}
        config["history"] = [{"created_by": _HOSTILE}]
        content = images.Content(made.blobs[0].media_type, json.dumps(config).encode())
        body = json.loads(made.data)
        body["config"] = content.descriptor()
        hostile = images.Image(made.media_type, json.dumps(body).encode(), (content, layer))
        shelf().registry.client().push("team/hostile", hostile, "1")
        self.pull("team/hostile", hostile, "1")
        return self.open(f"#/images/{HUB}/team/hostile:1")
