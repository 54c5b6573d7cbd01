"""The ledger: what was there, what was decided, what was sent, and what came of it. In PostgreSQL.

Without it nothing is sent: the intent of every request is committed here before the request leaves.
"""

from __future__ import annotations

from rescind.ledger.ledger import Ledger
from rescind.ledger.plan_records import (
    Approval,
    Attempt,
    AttemptRecord,
    Batch,
    Call,
    Canary,
    Item,
    Lease,
    NewBatch,
    NewCall,
    NewItem,
    NewPlan,
    Plan,
)
from rescind.ledger.records import (
    Certificate,
    DecisionCounts,
    Baseline,
    KeptCheck,
    LaneState,
    NewRun,
    PopulationCount,
    Listing,
    Progress,
    RuleCount,
    Run,
    Scope,
    ScopeSpec,
    Sealed,
    SwitchEvent,
    SystemSummary,
    VerdictRecord,
)

__all__ = [
    "Approval",
    "Attempt",
    "AttemptRecord",
    "Batch",
    "Call",
    "Canary",
    "Baseline",
    "Certificate",
    "DecisionCounts",
    "Item",
    "KeptCheck",
    "LaneState",
    "Lease",
    "Ledger",
    "NewBatch",
    "NewCall",
    "NewItem",
    "Listing",
    "NewPlan",
    "NewRun",
    "Plan",
    "PopulationCount",
    "Progress",
    "RuleCount",
    "Run",
    "Scope",
    "ScopeSpec",
    "Sealed",
    "SwitchEvent",
    "SystemSummary",
    "VerdictRecord",
]
