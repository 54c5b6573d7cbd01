"""Automatic approval: two keys. The deployment allows it within limits of its own, and the run asks for it."""

from __future__ import annotations

from collections import Counter

from rescind.errors import NotApprovedError
from rescind.ledger import Ledger, Plan, Run
from rescind.model import Choice, ItemState
from rescind.settings import AutomaticApproval, Settings

BY = "automatic"
"""Who answered, when a rule did."""


def require_automatic(ledger: Ledger, run: Run, plan: Plan, settings: Settings) -> None:
    """See once more, before anything is sent, that the plan may be executed without a person's approval.

    :raises NotApprovedError: when a key is missing or a limit does not hold now.
    """
    _, reasons = measure(ledger, run, plan, settings.automatic_approval)
    if reasons:
        raise NotApprovedError(
            f"plan {plan.digest[:12]} was approved automatically, and {'; '.join(reasons)}. Nothing was sent; "
            "start a new run"
        )


def measure(ledger: Ledger, run: Run, plan: Plan, allowed: AutomaticApproval | None) -> tuple[str, list[str]]:
    """What the plan measures against the deployment's limits, and every reason why a person has to be asked.

    The plan may be approved automatically exactly when there is no reason.
    """
    if allowed is None:
        return "", ["the setting automatic_approval is not given"]
    if not run.params.get("automatic"):
        return "", ["the run does not ask for automatic approval"]
    places, rules, held = _planned(ledger, run)
    items = sum(places.values())
    whole = sum(count.grants for count in ledger.snapshot.counts(run.run_id) if count.complete)
    figures = (
        f"{items} of {allowed.max_revocations} grants, {items} of {whole} found (limit {allowed.max_percent} %), "
        f"rules {', '.join(sorted(rules))}, systems {', '.join(sorted(places))}"
    )
    reasons = []
    if run.params.get("sparse"):
        reasons.append("calls may reach over places where nobody holds anything")
    if items + held != plan.items:
        reasons.append(f"the plan counts {plan.items} grants and the ledger {items} and {held} held back")
    if items > allowed.max_revocations:
        reasons.append(f"{items} grants are more than {allowed.max_revocations}")
    if items * 100 > allowed.max_percent * whole:
        reasons.append(f"{items} of {whole} grants are more than {allowed.max_percent} %")
    if set(places) - set(allowed.systems):
        reasons.append(f"systems {', '.join(sorted(set(places) - set(allowed.systems)))} are not allowed")
    if rules - set(allowed.only_rules):
        reasons.append(f"rules {', '.join(sorted(rules - set(allowed.only_rules)))} are not allowed")
    return figures, reasons


def _planned(ledger: Ledger, run: Run) -> tuple[Counter[str], set[str], int]:
    """Grants of the plan by system, the rules that decided on them, and how many grants are held back."""
    states = {item.grant_id: item.state for item in ledger.plans.items(run.run_id)}
    planned = {name for name, state in states.items() if state is not ItemState.HELD}
    places: Counter[str] = Counter()
    rules: set[str] = set()
    for grant, decision in ledger.decisions.each(run.run_id, choice=Choice.REVOKE):
        if decision.grant_id in planned:
            places[grant.key.system] += 1
            rules.add(decision.rule)
    return places, rules, len(states) - len(planned)
