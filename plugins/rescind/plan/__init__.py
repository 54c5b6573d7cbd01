"""From decisions to calls: the fewest, and none that can touch anything else.

* :func:`plan_calls` covers the cells to revoke with calls, with a proven lower bound beside them.
* :func:`iter_calls` gives the same kind of calls one by one, as soon as each is final.
* :mod:`~rescind.plan.effects` freezes what a plan does under one digest.
* :mod:`~rescind.plan.guards` stops plans that are too large and holds items that must not go.
* :mod:`~rescind.plan.batches` splits calls into what one task sends.

Pure functions, standard library only: nothing here knows a vendor, a database or Airflow.
"""

from __future__ import annotations

from rescind.plan.batches import Batch, split
from rescind.plan.cover import Cover, iter_calls, plan_calls
from rescind.plan.effects import SystemEffects, effects, effects_digest
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
    "effects_digest",
    "hold_irreversible",
    "hold_last_holders",
    "iter_calls",
    "plan_calls",
    "split",
]
