"""All steps of a removal, one after the other, and steps as small as can be."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.removals import RemovalEffect, RemovalTarget
from regcache.store import index_removal, removal_queue, removed_contents


def never(*_: object) -> bool:
    """No pattern pins anything."""
    return False


def combined(effects: Sequence[RemovalEffect]) -> RemovalEffect:
    """What all steps come to, as if they were one."""
    withdrawn = dict.fromkeys(each for effect in effects for each in effect.withdrawn)
    gone = dict.fromkeys(each for effect in effects for each in effect.gone)
    return replace(
        effects[0], withdrawn=tuple(withdrawn), gone=tuple(gone), going=(), unfinished=False
    )


def remove_whole(connection: sqlite3.Connection, target: RemovalTarget) -> RemovalEffect:
    """Remove something, with all that goes along. Within a transaction."""
    effects = [index_removal.remove(connection, target, 1, never)]
    while effects[-1].unfinished:
        effects.append(index_removal.remove_further(connection, 1))
    return combined(effects)


def removed(
    case: SynchronousTestCase, index: Any, target: RemovalTarget, generation: int = 1
) -> list[RemovalEffect]:
    """Remove something, with all that goes along; what each step comes to, as was said before."""
    removals = index.removals
    seen = [case.successResultOf(removals.look(target))]
    effects = [case.successResultOf(removals.remove(target, generation))]
    while effects[-1].unfinished:
        seen.append(case.successResultOf(removals.look_further()))
        effects.append(case.successResultOf(removals.remove_further(generation)))
    case.assertEqual(seen, effects)
    return effects


def make_steps_small(case: SynchronousTestCase) -> None:
    """Let each step remove one manifest, or one blob."""
    for name in ("MOST_WORK", "LISTED_AS_ONE", "MOST_BLOBS"):
        case.patch(removed_contents, name, 1)
    case.patch(removal_queue, "MOST_BLOBS", 1)
