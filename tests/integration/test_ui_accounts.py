"""The page of accounts in a real browser."""

import json
from typing import Any

from tests.integration.ui_base import NGINX, UiCase, shelf

_NAME = "alice"


def _password(page: str) -> str:
    """The one that the page for a person tells."""
    return page.partition("password:")[2].split()[0]


def _field(name: str) -> str:
    """Where it is typed."""
    return f"dialog input[name={name}]"


class AccountsTests(UiCase):
    """Who may pull, who uses how much?"""

    def configuration(self) -> dict[str, Any]:
        """With seats, and pulls for everybody."""
        rules = [{"accounts": ["anonymous"]}, {"accounts": ["*"]}]
        self.seats = self.workspace().path / "seats.yml"
        return {**super().configuration(), "access": {"seats": str(self.seats), "rules": rules}}

    def seat(self) -> Any:
        """What the file holds of the account."""
        (found,) = json.loads(self.ctl("seat", "list", "--json"))["items"]
        return found

    def test_create(self) -> None:
        """A new account has a page for its person, which is shown once; what is wrong is said."""
        tab = self.open("#/accounts", admin=True)
        tab.wait_text("No account yet")
        tab.click(".head button", "New account")
        for field, text in (("name", _NAME), ("daily", "much")):
            tab.fill(f"dialog input[name={field}]", text)
        tab.click("dialog button[type=submit]")
        tab.wait("document.querySelector('dialog .failed')")
        tab.fill("dialog input[name=daily]", "20GiB")
        tab.fill("dialog input[name=note]", "paid to <b>January</b>")
        self.pictures(tab, "accounts-new")
        self.check_access(tab)
        tab.click("dialog button[type=submit]")
        tab.wait_text("This is shown once")
        self.pictures(tab, "accounts-page")
        self.check_access(tab)
        page = tab.value("document.querySelector('dialog pre')?.innerText")
        self.assertIn("-- docker --", page)
        self.assertIn("-- containerd --", page)
        tab.press("Escape")
        tab.click("dialog .do button", "Done")
        tab.wait_text("of 20.0")
        self.assertNotIn(page, tab.text())
        client = self.daemon.client(credentials=(_NAME, _password(page)))
        self.assertEqual(client.get(f"/v2/docker.io/{NGINX}/manifests/1.29").status, 200)
        self.check(tab, expected=("400",))

    def test_key_and_end(self) -> None:
        """One account gets another key, which is shown once; it ends at once."""
        page = self.ctl("seat", "add", _NAME, "--daily", "20GiB")
        client = self.daemon.client(credentials=(_NAME, _password(page)))
        self.assertEqual(client.get(f"/v2/docker.io/{NGINX}/manifests/1.29").status, 200)
        tab = self.open("#/accounts", admin=True)
        tab.go(f"#/accounts/{_NAME}")
        tab.wait_text("No key was made yet")
        tab.click(".head button", "New key")
        tab.fill("dialog input[name=key_name]", "ci")
        tab.click("dialog button[type=submit]")
        tab.wait("document.querySelector('dialog pre')?.innerText.startsWith('rc_')")
        tab.click("dialog .do button", "Done")
        tab.wait("document.querySelectorAll('table code').length === 1")
        tab.click(".head button", "End…")
        tab.wait_text(f"End {_NAME}?")
        self.check_access(tab)
        tab.click("dialog button[type=submit]")
        tab.wait_text("ended")
        self.assertEqual(client.get("/v2/").status, 403)
        self.pictures(tab, "accounts-one")
        self.check(tab)

    def test_change(self) -> None:
        """An account is changed; where the file was changed meanwhile what is typed stays."""
        self.ctl("seat", "add", _NAME, "--daily", "20GiB", "--rate", "5MiB", "--note", "paid")
        tab = self.open("#/accounts", admin=True)
        tab.go(f"#/accounts/{_NAME}")
        tab.click(".head button", "Change")
        for field, text in (("daily", "much"), ("rate", ""), ("note", "<b>paid</b>")):
            tab.fill(_field(field), text)
        tab.wait(f"document.querySelector('{_field('until')}').value = '2131-01-31'")
        tab.click("dialog button[type=submit]")
        tab.wait("document.querySelector('dialog input[aria-invalid=true]').name === 'daily'")
        self.ctl("seat", "change", _NAME, "--monthly", "1TiB", "--note", "owes")
        tab.fill(_field("daily"), "30GiB")
        tab.click("dialog button[type=submit]")
        tab.wait_text("This was changed meanwhile")
        tab.wait_text("Now: owes")
        self.assertEqual(self.seat()["daily"], 20 * 2**30)
        for field, text in (("monthly", "1TiB"), ("daily", "30GiB"), ("note", "<b>paid</b>")):
            tab.wait(f"document.querySelector('{_field(field)}').value === '{text}'")
        self.pictures(tab, "accounts-change")
        self.check_access(tab)
        self.check_narrow(tab)
        tab.click("dialog button[type=submit]")
        tab.wait_text("30.0")
        changed = {"daily": 30 * 2**30, "monthly": 2**40, "rate": None, "until": "2131-01-31"}
        told = self.seat()
        self.assertEqual({each: told[each] for each in changed}, changed)
        self.assertEqual(told["note"], "<b>paid</b>")
        self.check(tab, expected=("400", "412"))

    def test_reopen(self) -> None:
        """One that has ended goes on; if it is gone meanwhile that is said. Here in Chinese."""
        self.ctl("seat", "add", _NAME, "--note", "paid")
        self.ctl("seat", "end", _NAME)
        tab = self.open("#/accounts", admin=True, language="zh-CN")
        tab.go(f"#/accounts/{_NAME}")
        tab.click(".head button", "修改")
        tab.click("dialog input[name=reopen]")
        self.pictures(tab, "accounts-reopen-zh")
        self.check_access(tab)
        tab.click("dialog button[type=submit]")
        tab.click(".head button", "停用")
        tab.wait_text("其密码、密钥")
        self.assertIsNone(self.seat()["ended"])
        self.close_dialog(tab)
        tab.click(".head button", "修改")
        tab.fill(_field("note"), "more")
        self.seats.write_text("bob: {}\n", encoding="utf-8")
        tab.click("dialog button[type=submit]")
        tab.wait_text("此账号已不存在")
        self.assertEqual(tab.value(f"document.querySelector('{_field('note')}').value"), "more")
        self.check(tab, expected=("404", "412"))

    def test_list(self) -> None:
        """All accounts with what they used of their quotas, and who used how much as CSV."""
        self.ctl("seat", "add", _NAME, "--daily", "1MiB", "--monthly", "10MiB", "--key")
        self.ctl("seat", "add", "bob", "--until", "2020-01-31", "--note", "has left")
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open("#/accounts", admin=True)
        tab.wait_text("password, key")
        tab.wait_text("ended")
        tab.wait_text("has left")
        tab.wait_text("Who used how much")
        link = tab.value("document.querySelector('a[download]')?.href")
        table = tab.run(f"fetch({json.dumps(link)}).then(answer => answer.text())")
        self.assertEqual(table.splitlines()[0].split(",")[:2], ["day", "account"])
        self.pictures(tab, "accounts")
        self.check(tab)

    def test_reader(self) -> None:
        """Who may only read sees usage, and how to get rights for the rest."""
        tab = self.open("#/accounts")
        tab.wait("document.querySelector('.head button[aria-disabled=true]')")
        tab.wait_text("Who used how much")
        tab.go(f"#/accounts/{_NAME}")
        tab.wait_text("Nothing was used in the last 31 days")
        self.check(tab)

    def test_own_usage(self) -> None:
        """An account that signs in sees its own usage, and nobody else's; here in Chinese."""
        page = self.ctl("seat", "add", _NAME, "--daily", "1GiB")
        password = page.partition("password:")[2].split()[0]
        self.pull(NGINX, shelf().nginx, "1.29")
        client = self.daemon.client(credentials=(_NAME, password))
        self.assertEqual(client.get(f"/v2/docker.io/{NGINX}/manifests/1.29").status, 200)
        tab = self.open("#/login", language="zh-CN")
        tab.fill("input[name=account]", _NAME)
        tab.fill("input[name=password]", _password(page))
        tab.press("Enter")
        tab.wait("document.querySelector('.side')")
        tab.go("#/accounts")
        tab.wait_text("您的用量")
        tab.wait(f"document.querySelector('td.name')?.innerText === '{_NAME}'")
        self.assertEqual(tab.run("document.querySelectorAll('td.name').length"), 1)
        self.pictures(tab, "accounts-own-zh")
        self.check(tab)


class NoSeatsTests(UiCase):
    """Where there are no seats."""

    def test_not_set(self) -> None:
        """The page says what to write into the configuration."""
        tab = self.open("#/accounts", admin=True)
        tab.wait_text("Accounts with limits are switched off")
        tab.wait_text("seats: /var/lib/regcache/seats.yml")
        self.check(tab, expected=("409",))
