"""What a narrowed plan may contain at most."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from rescind.model import Mode
from rescind.plan.check import EmptiedColumn


@dataclass(frozen=True, slots=True)
class Limit:
    """What a narrowed plan may contain at most: what the plan before it contained.

    :param of: digest of the plan before it.
    :param by: mark of what was left out, see :attr:`rescind.ledger.Narrowing.mark`.
    :param valid_until: of the plan before it: a narrower plan is not valid for longer.
    :param planned: ids of the grants that went there; what is left out is in ``held`` too, and that counts first.
    :param held: ids of the grants that were held there or are left out, with the reason.
    :param left_out: how many are left out.
    :param systems: by (system, account): mode and emptied columns there.
    """

    of: str
    by: str
    valid_until: datetime
    planned: Set[str]
    held: Mapping[str, str]
    left_out: int
    systems: Mapping[tuple[str, str], tuple[Mode, frozenset[EmptiedColumn]]]
