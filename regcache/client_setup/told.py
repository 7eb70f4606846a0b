"""A guide as plain JSON: what the API answers, and regcachectl goes by."""

from typing import Any

from regcache.client_setup.guide import Guide
from regcache.client_setup.steps import GuideBlock, GuideStep


def told_guide(guide: Guide) -> dict[str, Any]:
    """A guide as the API has it."""
    return {
        "steps": [_step(each) for each in guide.steps],
        "names": [{"registry": name, "host": host} for name, host in guide.names],
        "login_needed": guide.login_needed,
        "notes": list(guide.notes),
    }


def _step(step: GuideStep) -> dict[str, Any]:
    return {
        "title_code": step.title,
        "text_code": step.text or None,
        "blocks": [_block(each) for each in step.blocks],
    }


def _block(block: GuideBlock) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "path": block.path or None,
        "text": block.text,
        "part": block.is_part,
        "secret": block.is_secret,
    }
