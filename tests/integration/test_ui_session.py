"""Sessions and the stream of events in a real browser: what stays when they end or break."""

from typing import Any

from tests.access.accounts import hashed
from tests.integration.ui_base import END_SESSION, NGINX, UiCase, browser, shelf
from tests.support.devtools import Tab

_ACCOUNTS = {"root": "Radon-of-root-4713", "alice": "Xenon-of-alice-4711"}
_HOST, _PLAIN_HOST = "cache.localhost", "cache.test"
_DIALOG = "dialog form.sign"
#: A page that can be hidden, whose half minutes pass when the test says so, and whose streams
#: and answers to the list of requests are counted.
_CLOCK = """
const ask = window.fetch;
window.answers = 0;
window.fetch = async (...asked) => {
  const answer = await ask(...asked);
  if (String(asked[0]).includes('/requests')) answers += 1;
  return answer;
};
let isHidden = false;
const opened = [];
window.EventSource = class extends EventSource {
  constructor(url) { super(url); opened.push(this); }
};
window.streams = () => opened.filter((each) => each.readyState === 1).length;
const waiting = new Map(), start = window.setTimeout, end = window.clearTimeout;
Object.defineProperty(document, 'hidden', { get: () => isHidden });
window.setTimeout = (work, ms, ...more) => {
  const timer = start(work, ms, ...more);
  if (ms === 30000) waiting.set(timer, work);
  return timer;
};
window.clearTimeout = (timer) => { waiting.delete(timer); end(timer); };
window.hide = (now) => { isHidden = now; document.dispatchEvent(new Event('visibilitychange')); };
window.halfMinute = () => {
  for (const [timer, work] of waiting) { clearTimeout(timer); work(); }
};
"""

#: Texts that come when the test says so.
_HELD_TEXTS = """
const ask = window.fetch;
window.released = new Promise((done) => { window.release = done; });
window.fetch = async (url, options) => {
  if (String(url).includes('/locales/')) await window.released;
  return ask(url, options);
};
"""
#: Answers to who is signed in that come when the test says so.
_HELD_SESSIONS = """
window.held = [];
window.ask = window.fetch;
window.fetch = async (url, options) => {
  const answer = await ask(url, options);
  if (!String(url).endsWith('/session') || options.method) return answer;
  const text = await answer.text(), { status, headers } = answer;
  await new Promise((done) => held.push(done));
  return new Response(text, { status, headers });
};
window.release = () => { window.fetch = ask; held.forEach((each) => each()); };
"""
_SESSION_IS_KNOWN = """performance.getEntriesByType('resource')
 .some((each) => each.name.endsWith('/api/v1/session') && each.responseEnd)"""


class SessionTests(UiCase):
    """A page on a host for accounts alone."""

    def configuration(self) -> dict[str, Any]:
        """With two accounts, one of them an administrator's."""
        lines = [f"{name}:{hashed(word).decode()}\n" for name, word in _ACCOUNTS.items()]
        path = self.workspace().file("htpasswd", "".join(lines))
        rules = [{"accounts": ["anonymous", "*"]}]
        access = {"htpasswd": str(path), "admins": ["root"], "rules": rules}
        return {**super().configuration(), "access": access}

    def setUp(self) -> None:
        super().setUp()
        self.pull(NGINX, shelf().nginx, "1.29")
        self.url = f"http://{_HOST}:{self.daemon.port}/"

    def start_daemon(self) -> Any:
        """With a host name for the web UI."""
        daemon = super().start_daemon()
        daemon.stop()
        daemon.config["admin"]["hosts"] = [_HOST, _PLAIN_HOST]
        return daemon.start()

    def sign_in(self, tab: Tab, name: str, form: str = "form.sign") -> None:
        """Type an account and its password."""
        tab.fill(f"{form} input[name=account]", name)
        tab.fill(f"{form} input[name=password]", _ACCOUNTS[name])
        tab.press("Enter")

    def test_login(self) -> None:
        """Who comes with an address signs in first, and is led to what was asked for."""
        tab = self.open("#/images?q=nginx")
        tab.wait_text("Sign in to Our registry")
        tab.fill("input[name=account]", "root")
        tab.fill("input[name=password]", "wrong")
        tab.press("Enter")
        tab.wait_text("The account or the password is wrong.")
        self.pictures(tab, "login")
        self.check_access(tab)
        self.sign_in(tab, "root")
        tab.wait_text("library/nginx")
        self.assertTrue(tab.run("location.hash").endswith("q=nginx"))
        tab.click("button", "Sign out")
        tab.wait_text("Sign in to Our registry")
        self.check(tab, expected=("401",))

    def test_copy(self) -> None:
        """Without TLS and off the machine a text is copied as well; where that is refused it is
        selected, and the page says so."""
        self.url = f"http://{_PLAIN_HOST}:{self.daemon.port}/"
        tab = self.open("#/clients")
        self.sign_in(tab, "root")
        tab.wait("document.querySelector('.code .copy')")
        self.assertFalse(tab.run("isSecureContext || 'clipboard' in navigator"))
        shown = tab.value("document.querySelector('.code pre').textContent")
        tab.focus("document.querySelector('.code .copy button')")
        tab.press("Enter")
        tab.wait_text("Copied")
        self.check_access(tab)
        tab.fill(".find input", "")
        tab.paste()
        pasted = tab.value("document.querySelector('.find input').value || null")
        self.assertEqual(pasted.split(), shown.split())
        tab.run("document.execCommand = () => false")
        tab.in_chinese()
        tab.click(".code .copy button")
        tab.wait_text("请按 Ctrl+C")
        self.assertEqual(tab.run("getSelection().toString()").split(), shown.split())
        self.pictures(tab, "copied-zh")
        self.check(tab, expected=("Cross-Origin-Opener-Policy",))  # has no meaning without TLS

    def test_end(self) -> None:
        """A session that ends leaves the page as it is, and its dialog; then it all goes on."""
        tab = self.open("#/requests", height=400)
        self.sign_in(tab, "root")
        tab.wait_text("library/nginx")
        tab.run("document.querySelector('main').dataset.mark = 'kept'")
        tab.fill(".filters input", "nginx")
        tab.wait("location.hash.includes('q=nginx')")
        tab.run("scrollTo(0, 90)")
        self.end_session(tab)
        tab.wait_text("Your session has ended")
        tab.press("Escape")
        tab.wait("document.activeElement.name === 'password'")
        self.check_access(tab)
        self.assertIn("library/nginx", tab.text())
        self.sign_in(tab, "root", _DIALOG)
        tab.wait("!document.querySelector('dialog')")
        self.live(tab)
        self.assertEqual(tab.run("document.querySelector('main').dataset.mark"), "kept")
        self.assertEqual(tab.run("document.querySelector('.filters input').value"), "nginx")
        self.assertEqual(tab.run("scrollY"), 90)
        self.check(tab, expected=("401",))

    def test_dialog_stays(self) -> None:
        """What is typed into a dialog of the page is there still, below and afterwards."""
        tab = self.open("#/images")
        self.sign_in(tab, "root")
        tab.click(".head button", "Pull an image")
        tab.fill("dialog input[name=image]", "team/app:1")
        self.end_session(tab)
        self.sign_in(tab, "root", _DIALOG)
        tab.wait("document.querySelectorAll('dialog').length === 1")
        self.assertEqual(tab.run("document.querySelector('dialog input').value"), "team/app:1")
        tab.wait("document.querySelector('dialog').contains(document.activeElement)")

    def test_late_answer(self) -> None:
        """An answer from before the sign-in, which comes after it, ends nothing."""
        tab = self.open("#/images")
        self.sign_in(tab, "root")
        self.live(tab)
        tab.run(_HELD_SESSIONS)
        self.assertEqual(tab.run(END_SESSION), 204)
        tab.wait("held.length >= 2")
        tab.run("held.shift()()")
        self.sign_in(tab, "root", _DIALOG)
        tab.wait("!document.querySelector('dialog')")
        tab.run("release()")
        tab.picture("late")  # waits for two frames
        self.assertFalse(tab.run("Boolean(document.querySelector('dialog'))"))
        self.live(tab)

    def test_somebody_else(self) -> None:
        """Another account gets the page anew, with its own rights."""
        tab = self.open("#/images")
        self.sign_in(tab, "root")
        tab.wait("document.querySelector('.head button:not([aria-disabled])')")
        self.end_session(tab)
        self.sign_in(tab, "alice", _DIALOG)
        tab.wait("document.querySelector('.head button[aria-disabled=true]')")
        self.assertFalse(tab.run("Boolean(document.querySelector('dialog'))"))


class ReaderTests(UiCase):
    """On the machine itself, where everybody may read."""

    def test_end(self) -> None:
        """Without a session one may go on reading, or come with another link."""
        tab = self.open("#/storage", admin=True)
        tab.wait_text("Rules in force")
        self.end_session(tab)
        self.pictures(tab, "session-over")
        tab.click(f"{_DIALOG} button", "Go on reading only")
        tab.wait_text("Only an admin sees what a sweep would remove")
        tab.go(self.link().partition("#")[2])
        tab.wait_text("Sign out")
        self.end_session(tab)
        tab.go(self.link().partition("#")[2])
        tab.wait("!document.querySelector('dialog')")
        tab.wait_text("Sign out")
        self.assertEqual(tab.problems, [])

    def test_nothing_before(self) -> None:
        """As long as the texts are missing no page is shown that the address does not name."""
        tab = browser().tab()
        self.addCleanup(tab.close)
        tab.ask("Page.addScriptToEvaluateOnNewDocument", source=_HELD_TEXTS)
        tab.open(self.link())
        tab.wait(_SESSION_IS_KNOWN)
        tab.picture("before")  # waits for two frames
        self.assertFalse(tab.run("Boolean(document.querySelector('.side'))"))
        tab.run("release()")
        tab.wait_text("Sign out")


class HiddenTests(UiCase):
    """A page that nobody looks at."""

    def test_hidden(self) -> None:
        """After half a minute nothing is told any more; who looks again sees what is new."""
        tab = self.open("#/requests", script=_CLOCK)
        self.live(tab)
        tab.wait("answers >= 2")  # the page's own, and the one when the stream is there
        tab.run("hide(true), hide(false), halfMinute()")
        self.assertEqual(tab.run("streams()"), 1)
        tab.run("hide(true), halfMinute()")
        self.assertEqual(tab.run("streams()"), 0)
        self.pull(NGINX, shelf().nginx, "1.29")
        self.assertNotIn("library/nginx", tab.text())
        tab.run("hide(false)")
        tab.wait_text("library/nginx")
        self.assertEqual(tab.run("streams()"), 1)
        self.live(tab)
        self.check(tab)
