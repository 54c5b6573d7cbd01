"""The independent check of a narrowed plan: it does nothing that the plan before it did not do.

It reads the canonical effects of both plans and shares nothing with the planner but their byte form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rescind.errors import PlanError
from rescind.model import Mode
from rescind.plan.approved import Approved, Effects, EmptiedColumn, read_effects, read_head

NARROWED = "narrowed"
"""Name in the effects of what a plan was narrowed from: ``{"by": ..., "of": ...}``. It stands among the caps."""
_REMEDY = "Nothing was sent; start a new run"


def narrowed_by(pieces: Iterable[bytes]) -> tuple[str, str] | None:
    """Return the digest of the plan before this one and the mark of what was left out; None for a plan of its own.

    :param pieces: the canonical bytes, checked against their digest by the caller.
    :raises PlanError: when the effects cannot be read.
    """
    return _named(read_head(pieces))


def _named(head: Mapping[str, Any]) -> tuple[str, str] | None:
    if NARROWED not in head["guards"]:
        return None
    named = head["guards"][NARROWED]
    if not isinstance(named, dict) or named.keys() != {"of", "by"} or {type(one) for one in named.values()} != {str}:
        raise PlanError(f"the effects do not say what the plan was narrowed from. {_REMEDY}")
    return named["of"], named["by"]


def check_narrowed(
    whole: Iterable[bytes],
    narrow: Iterable[bytes],
    *,
    of: str,
    by: str,
    kept: Collection[str] = (),
    lines: Collection[str] = (),
    columns: Collection[tuple[tuple[str, str], EmptiedColumn]] = (),
) -> None:
    """Check that a narrowed plan is a part of the plan before it.

    Every grant that goes went there too and was not left out, and every column that is emptied was emptied there. Calls
    contain no cells without a grant, or treat them as they did there. Account, caps, policy and settings are the same.

    :param whole: the canonical bytes of the plan before it, and ``narrow`` those of the narrowed plan; both checked
        against their digests by the caller.
    :param of: digest of the plan before it.
    :param by: mark of what was left out, see :attr:`rescind.ledger.Narrowing.mark`.
    :param kept: ids of the grants that were left out.
    :param lines: ids of the grants that were chosen one by one. Each was to go before, and is left out.
    :param columns: ((system, account), column) of the grants that were left out. None of them is emptied.
    :raises PlanError: when it is not.
    """
    before, after = read_effects(whole), read_effects(narrow)
    if _named(after.head) != (of, by):
        raise PlanError(f"the plan was not narrowed from plan {of[:12]} by what the approver left out. {_REMEDY}")
    if _caps(before) != _caps(after) or any(before.head[n] != after.head[n] for n in ("policy_version", "settings")):
        raise PlanError(f"the narrowed plan has other caps, policies or settings than plan {of[:12]}. {_REMEDY}")
    if any(ident in kept for ident in _ids(after)):
        raise PlanError(f"the narrowed plan has a grant that was left out of plan {of[:12]}. {_REMEDY}")
    if lines and not set(lines) <= set(kept) & _ids(before):
        raise PlanError(f"a chosen line was not in plan {of[:12]}, or is not left out. {_REMEDY}")
    if any(place in after.systems and column in after.systems[place].emptied for place, column in columns):
        raise PlanError(f"the narrowed plan empties a column with a grant left out of plan {of[:12]}. {_REMEDY}")
    for place, part in after.systems.items():
        known = before.systems.get(place)
        if known is None or before.identities[place] != after.identities[place] or not _within(part, known):
            raise PlanError(f"the narrowed plan does more on {place[0]} than plan {of[:12]} did. {_REMEDY}")


def _ids(effects: Effects) -> set[str]:
    return {key.grant_id for part in effects.systems.values() for key in part.grants}


def _within(part: Approved, known: Approved) -> bool:
    modes = (Mode.STRICT, known.mode)
    return part.mode in modes and part.grants <= known.grants and part.emptied <= known.emptied


def _caps(effects: Effects) -> dict[str, Any]:
    return {name: value for name, value in effects.head["guards"].items() if name != NARROWED}
