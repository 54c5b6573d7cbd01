"""Which grants may be removed to close a path: what the decisions of a run and its guards say about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rescind.ledger import Ledger, Run
from rescind.model import Choice, Decision, Grant
from rescind.review.decide import EXCEPTION, PROTECTED, UNREADABLE, unsupported
from rescind.workflow.closing.surroundings import Surroundings

CLOSES_PATH = "closes_path"
"""Rule of the decisions that close a path."""
_FIXED_RULES = {PROTECTED: "protected", EXCEPTION: "has an exception", UNREADABLE: "its decision could not be answered"}


@dataclass
class Removable:
    """What the decisions of a run say about grants that could be removed.

    :param barred: ids of grants that may not be removed, with the reason.
    """

    ledger: Ledger
    run: Run
    barred: Mapping[str, str]
    _decisions: dict[str, Decision] = field(default_factory=dict)

    def read(self, around: Surroundings, demands: Iterable[tuple[Grant, list[Grant]]]) -> None:
        """Read the decisions on everything that could be removed."""
        ids = {grant.grant_id for grants in around.own.values() for grant in grants}
        ids.update(one.grant_id for _, ways in demands for one in ways)
        self._decisions.update(self.ledger.decisions.by_id(self.run.run_id, sorted(ids)))

    def why_not(self, grant: Grant, barred: Mapping[str, str] | None = None) -> str:
        """Return why a grant may not be removed; empty when it may."""
        ident = grant.grant_id
        if why := self.barred.get(ident) or (barred or {}).get(ident) or unsupported(grant):
            return why
        decision = self._decisions.get(ident)
        if decision is None or (decision.choice is Choice.REVOKE and decision.rule != CLOSES_PATH):
            return "a guard holds it"
        if "review" in decision.facts:
            return "its owner was asked and keeps it"
        return f"{_FIXED_RULES[decision.rule]}: {decision.reason}" if decision.rule in _FIXED_RULES else ""
