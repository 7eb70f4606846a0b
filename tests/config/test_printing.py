"""Tests for regcache.config.printing."""

from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.printing import render
from tests.config.helpers import loaded
from tests.support.certificates import Authority

FULL = """
domain: example.com
listeners:
  - {{endpoint: 80, redirect: https, acme_webroot: /acme}}
  - endpoint: tcp:443
    tls: {{certificates: [{{chain: '{chain}', key: '{key}'}}], minimum: TLSv1.3}}
    hsts: true
storage: {{max_size: 50GiB, max_blob: 12.5%, min_free: 0, unused_for: null, sweep: 0 4 */2 * *,
  finish: null}}
upstreams:
  docker.io:
    username: me
    password: '***'
    serve_private: true
    tag_ttl: [{{match: '*-rc*', ttl: 1500ms}}]
    stale_if_error: 1w
    proxy: http://***:***@proxy.example:3128
  quay.io: {{hosts: [], proxy: direct, allow: ['a/*'], deny: ['*/x']}}
  ghcr.io: {{urls: [https://ghcr.io, {{url: http://m/x, ns: true, username: u, password: '***'}}]}}
  registry.internal:5000: {{urls: [{{url: https://registry.internal:5000, token_hosts: [t]}}]}}
default_upstream: quay.io
default_hosts: ['*.example.net']
dns: [8.8.8.8, "tcp://[2001:4860:4860::8888]"]
cors_origins: ["*", https://ui.example.com]
ui: {{title: 'a $${{X}} ''no'' title'}}
log: {{format: json, access: false}}
limits: {{drain: 0, idle: 90s}}
"""


class PrintingTests(SynchronousTestCase):
    """Tests for :func:`render`."""

    def round_trip(self, text: str) -> None:
        """What is printed loads as the same configuration."""
        config = loaded(text).config
        again = loaded(render(config)).config
        self.assertEqual(again, config)

    def test_round_trip(self) -> None:
        """The long form loads again as the same configuration."""
        files = Authority(Path(self.mktemp())).issue("*.example.com")
        full = FULL.format(chain=files.chain, key=files.key)
        short = f"domain: a.b\ntls: {{chain: '{files.chain}', key: '{files.key}'}}"
        for text in ("", "domain: a.b", "domain: a.b\nadmin: {hosts: []}", short, full):
            self.round_trip(text)

    def test_long_form(self) -> None:
        """Everything that the short form stands for is spelled out."""
        printed = yaml.safe_load(render(loaded("domain: example.com").config))
        hub = printed["upstreams"]["docker.io"]
        self.assertEqual(hub["hosts"], ["docker.example.com"])
        self.assertEqual(hub["urls"], ["https://registry-1.docker.io"])
        self.assertEqual(hub["token_hosts"], ["auth.docker.io"])
        self.assertEqual(printed["admin"]["hosts"], ["registry.example.com"])
        self.assertEqual(printed["storage"]["max_size"], "80%")
        self.assertEqual(printed["listeners"][0]["endpoint"], "tcp:5000:interface=127.0.0.1")

    def test_complete(self) -> None:
        """Every key is there."""
        text = render(loaded("").config)
        printed = yaml.safe_load(text)
        self.assertEqual(
            printed["access"],
            {
                "htpasswd": None,
                "seats": None,
                "admins": [],
                "realm": "Registry Realm",
                "rules": [],
                "challenge": "auto",
                "token_ttl": "5m",
                "key_file": None,
                "knock": None,
                "trusted_proxies": [],
                "token": None,
            },
        )
        self.assertEqual(printed["limits"]["connections"], 4096)

    def test_secrets(self) -> None:
        """No secret is printed, wherever it came from."""
        file = Path(self.mktemp()).absolute()
        file.write_text("s3cret")
        text = f"""
            upstreams:
              docker.io: {{username: me, password: s3cret}}
              quay.io: {{username: me, password: '${{X}}', proxy: 'http://s3cret:s3cret@p:1'}}
              ghcr.io: {{username: me, password_file: '{file}'}}
              a: {{urls: [http://b, {{url: http://c, username: u, password: s3cret}}]}}
            """
        printed = render(loaded(text, X="s3cret").config)
        self.assertNotIn("s3cret", printed)
        self.assertEqual(printed.count("password: '***'"), 3)
        self.assertIn(str(file), printed)
