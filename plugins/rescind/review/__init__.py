"""Access review: roster, policies, exceptions and protections in; one decision for each grant out.

Pure functions over :mod:`rescind.model`: nothing here reads a file, a clock, a database or the network.
"""

from __future__ import annotations

from rescind.review.backtest import Backtest, Snapshot, SnapshotResult, backtest
from rescind.review.decide import Decider, DecisionContext, decide
from rescind.review.exceptions import Exceptions, Waiver, load_exceptions
from rescind.review.explain import Explanation, explain, render_explanation
from rescind.review.knowledge import (
    Holdings,
    Memberships,
    PrincipalKey,
    collect_holdings,
    index_principals,
    principal_key,
)
from rescind.review.owners import Owners, load_owners
from rescind.review.policy.load import Policy, load_policy
from rescind.review.protections import Protections, load_protections
from rescind.review.request import RequestedTargets, Target, resolve_request
from rescind.review.roster.admit import (
    AdmittedRoster,
    Person,
    Roster,
    RosterLimits,
    RosterOptions,
    admit_roster,
)
from rescind.review.roster.read import read_roster_csv, read_roster_json
from rescind.review.roster.users import UserLinks

__all__ = [
    "AdmittedRoster",
    "Backtest",
    "Decider",
    "DecisionContext",
    "Exceptions",
    "Explanation",
    "Holdings",
    "Memberships",
    "Owners",
    "Person",
    "Policy",
    "PrincipalKey",
    "Protections",
    "RequestedTargets",
    "Roster",
    "RosterLimits",
    "RosterOptions",
    "Snapshot",
    "SnapshotResult",
    "Target",
    "UserLinks",
    "Waiver",
    "admit_roster",
    "backtest",
    "collect_holdings",
    "decide",
    "explain",
    "index_principals",
    "load_exceptions",
    "load_owners",
    "load_policy",
    "load_protections",
    "principal_key",
    "read_roster_csv",
    "read_roster_json",
    "render_explanation",
    "resolve_request",
]
