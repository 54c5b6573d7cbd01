"""The ledger in PostgreSQL: snapshots, decisions, plans, requests and verdicts.

Nothing is sent without the ledger: the intent of every request is committed here before the request is sent.
"""

from __future__ import annotations

from rescind.ledger.ledger import Ledger
from rescind.ledger.plans.narrowings import Narrowing
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
from rescind.ledger.plans.selections import Selection, SelectionRefusedError
from rescind.ledger.population.regrants import NewRegrant, Regrant, WatchCheck, Watched
from rescind.ledger.runs.evidence_chain import ChainEntry
from rescind.ledger.runs.inputs import OCCASION, SETTINGS, NewInput, StoredInput
from rescind.ledger.runs.owner_questions import NewQuestion, OpenQuestions, Question, QuestionItem
from rescind.ledger.runs.records import (
    NAMED_PEOPLE,
    PARTS_OF_PEOPLE,
    Baseline,
    BucketState,
    Certificate,
    DecisionCounts,
    KillSwitchEvent,
    Listing,
    NewRun,
    PopulationCount,
    RetainedCheck,
    RuleCount,
    Run,
    Scope,
    ScopeSpec,
    Sealed,
    SystemSummary,
    VerdictRecord,
)
from rescind.ledger.runs.single_calls import SINGLE, NewSingleCall, SingleCall

__all__ = [
    "NAMED_PEOPLE",
    "OCCASION",
    "PARTS_OF_PEOPLE",
    "SETTINGS",
    "SINGLE",
    "Approval",
    "Attempt",
    "AttemptRecord",
    "Baseline",
    "Batch",
    "BucketState",
    "Call",
    "Canary",
    "Certificate",
    "ChainEntry",
    "DecisionCounts",
    "Item",
    "KillSwitchEvent",
    "Lease",
    "Ledger",
    "Listing",
    "Narrowing",
    "NewBatch",
    "NewCall",
    "NewInput",
    "NewItem",
    "NewPlan",
    "NewQuestion",
    "NewRegrant",
    "NewRun",
    "NewSingleCall",
    "OpenQuestions",
    "Plan",
    "PopulationCount",
    "Question",
    "QuestionItem",
    "Regrant",
    "RetainedCheck",
    "RuleCount",
    "Run",
    "Scope",
    "ScopeSpec",
    "Sealed",
    "Selection",
    "SelectionRefusedError",
    "SingleCall",
    "StoredInput",
    "SystemSummary",
    "TaskProgress",
    "VerdictRecord",
    "WatchCheck",
    "Watched",
]
