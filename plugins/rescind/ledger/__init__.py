"""The ledger: what was there, what was decided, what was sent, and what came of it. In PostgreSQL.

Without it nothing is sent: the intent of every request is committed here before the request leaves.
"""

from __future__ import annotations

from rescind.ledger.ledger import Ledger
from rescind.ledger.plans.records import (
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
    TaskProgress,
)
from rescind.ledger.population.regrants import NewSighting, Sighting, WatchCheck, Watched
from rescind.ledger.runs.evidence_chain import Seal
from rescind.ledger.runs.inputs import OCCASION, NewInput, StoredInput
from rescind.ledger.runs.owner_questions import NewQuestion, Question, QuestionItem
from rescind.ledger.runs.records import (
    Baseline,
    Certificate,
    DecisionCounts,
    KeptCheck,
    LaneState,
    Listing,
    NewRun,
    PopulationCount,
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
    "OCCASION",
    "Approval",
    "Attempt",
    "AttemptRecord",
    "Baseline",
    "Batch",
    "Call",
    "Canary",
    "Certificate",
    "DecisionCounts",
    "Item",
    "KeptCheck",
    "LaneState",
    "Lease",
    "Ledger",
    "Listing",
    "NewBatch",
    "NewCall",
    "NewInput",
    "NewItem",
    "NewPlan",
    "NewQuestion",
    "NewRun",
    "NewSighting",
    "Plan",
    "PopulationCount",
    "Progress",
    "Question",
    "QuestionItem",
    "RuleCount",
    "Run",
    "Scope",
    "ScopeSpec",
    "Seal",
    "Sealed",
    "Sighting",
    "StoredInput",
    "SwitchEvent",
    "SystemSummary",
    "TaskProgress",
    "VerdictRecord",
    "WatchCheck",
    "Watched",
]
