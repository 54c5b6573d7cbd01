"""Plans a run again and again with random grants left out, and checks that each plan is a part of the whole one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from rescind.errors import PlanError
from rescind.plan.approved import read_effects
from rescind.plan.narrowed import check_narrowed
from rescind.workflow.narrowing.limit import Limit
from rescind.workflow.planner_of_run import planner_of_run
from tests.support.reviews.review import Review


def narrower_plans(review: Review, shares: Iterable[int], **params: Any) -> set[str]:
    """Check plans from which so many random grants are left out; the modes of the whole plan.

    :param params: of the run, changed for its plans.
    """
    random = Random(7)
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        settings, run = review.approval().settings_of(ledger, run), replace(run, params={**run.params, **params})
        plan = planner_of_run(ledger, run, settings).freeze(now=datetime.now(UTC))
        whole = list(ledger.plans.effects(run.run_id, plan.digest))
        bound = {place: (part.mode, part.emptied) for place, part in read_effects(whole).systems.items()}
        items = list(ledger.plans.items(run.run_id))
        going = sorted(item.grant_id for item in items if item.call_id)
        before = {item.grant_id: item.reason for item in items if not item.call_id}
        for share in shares:
            left = frozenset(random.sample(going, share))
            limit = Limit(
                of=plan.digest, by="0" * 64, valid_until=plan.valid_until, planned=frozenset(going) - left,
                held=before | dict.fromkeys(left, "kept by omar: x"), left_out=len(left), systems=bound,
            )  # fmt: skip
            narrower = planner_of_run(ledger, run, settings, limit=limit).freeze(now=datetime.now(UTC))
            after = {item.grant_id: item for item in ledger.plans.items(run.run_id)}
            goes = {ident for ident, item in after.items() if item.call_id}
            assert after.keys() == {item.grant_id for item in items} and goes <= set(going) - left
            assert all(after[ident].reason == reason for ident, reason in limit.held.items())
            grants = ledger.snapshot.grants_by_id(run.run_id, [*after])
            staying = {(grant.key[:2], grant.cell) for ident, grant in grants.items() if ident not in goes}
            calls = [call.planned for call in ledger.plans.calls(run.run_id)]
            assert not staying & {((call.system, call.account), cell) for call in calls for cell in call.cells()}
            check_narrowed(whole, ledger.plans.effects(run.run_id, narrower.digest), of=plan.digest, by="0" * 64)
            fewer = replace(limit, planned=limit.planned - {min(goes)})
            with pytest.raises(PlanError, match="not in the plan before"):
                planner_of_run(ledger, run, settings, limit=fewer).freeze(now=datetime.now(UTC))
        return {str(mode) for mode, _ in bound.values()}
