"""Guides for configurations that are written out."""

from regcache.client_setup.guide import Guide, guide_for
from regcache.client_setup.located import Located, locate_registries
from regcache.client_setup.steps import GuideBlock, SetUp
from regcache.config.client_facts import served_here
from regcache.config.loading import loads

#: Two registries, at one address.
PLAIN = "upstreams: {docker.io: , ghcr.io: }\nlisteners: [{endpoint: 5000}]\n"
#: A host for each.
NAMED = (
    "domain: example.com\nupstreams: {docker.io: , ghcr.io: , registry.corp: {urls: [http://x.corp]}}\n"
    "listeners: [{endpoint: 80, redirect: https}, {endpoint: 5000}]\n"
)


def located(text: str, host: str = "", *upstreams: str) -> Located:
    """Where clients find what a configuration has."""
    served = served_here(loads(text, "regcache.yml", {}).config, "Box.lan")
    return locate_registries(served, host, upstreams)


def guide(tool: str, text: str, host: str = "", with_login: bool = False) -> Guide:
    """The guide for a program."""
    return guide_for(tool, SetUp(located(text, host), with_login))


def files(made: Guide) -> dict[str, str]:
    """The files of a guide, by their paths."""
    return {each.path: each.text for each in blocks(made) if each.kind == "file"}


def blocks(made: Guide) -> list[GuideBlock]:
    """All files and commands, in their order."""
    return [block for step in made.steps for block in step.blocks]


def commands(made: Guide) -> list[str]:
    """All commands."""
    return [
        line for each in blocks(made) if each.kind == "shell" for line in each.text.splitlines()
    ]
