"""From decisions to API calls: few of them, and none that can touch anything else.

* :func:`plan_calls` finds few calls that cover the cells to revoke, and proves a lower bound on their number.
* :mod:`~rescind.plan.check` checks a plan and every final request, without code of the planner.
* :mod:`~rescind.plan.effects` writes the effects of a plan as canonical bytes; their digest is what a person approves.
* :mod:`~rescind.plan.guards` refuses plans that are too large and holds items that must not be revoked.
* :mod:`~rescind.plan.batches` splits the calls into batches; one task sends one batch.

Pure functions, standard library only: nothing here knows a vendor, a database or Airflow.
"""

from __future__ import annotations

from rescind.plan.batches import Batch, split
from rescind.plan.cover import Cover, plan_calls
from rescind.plan.effects import SystemEffects, effects
from rescind.plan.guards import (
    AdminSlot,
    Caps,
    GuardRecord,
    Holding,
    check_caps,
    count_holders,
    hold_irreversible,
    hold_last_holders,
)

__all__ = [
    "AdminSlot",
    "Batch",
    "Caps",
    "Cover",
    "GuardRecord",
    "Holding",
    "SystemEffects",
    "check_caps",
    "count_holders",
    "effects",
    "hold_irreversible",
    "hold_last_holders",
    "plan_calls",
    "split",
]
