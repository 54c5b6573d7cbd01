"""An approval is worth exactly the plan that a person saw: everything else is refused before the first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.systems import REGISTRY, default_connections
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

Bench = Callable[..., ReviewBench]


def _approved(bench: Bench, **params: Any) -> Review:
    review = bench().run(dry_run=False, **params)
    review.through_plan()
    review.approve()
    return review


def _edit(review: Review, *statements: str) -> None:
    """Change the ledger behind everybody's back, as its owner could."""
    with tampering(review.bench.ledger_dsn) as connection:
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0, statement


def _refused(review: Review, message: str) -> None:
    before = review.bench.emulator.get("truth")
    with pytest.raises(Exception, match=message):
        review.revoke()
    assert review.bench.emulator.writes() == []
    assert review.bench.emulator.get("truth") == before


_KEPT = (
    "(SELECT d.grant_id FROM rescind.decision d JOIN rescind.grant_row g USING (run_no, grant_id)"
    " WHERE d.rule = 'kept.otherwise' AND g.revocable AND g.system = '{system}' ORDER BY d.grant_id LIMIT 1)"
)


def _batch_call(review: Review) -> str:
    """SQL for a call of the first batch."""
    batch = review.batches[0]["batch"]
    return f"(SELECT call_id FROM rescind.call WHERE batch_id = '\\x{batch}' ORDER BY call_id LIMIT 1)"


@pytest.mark.parametrize("system", ["wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"])
def test_an_item_slipped_into_the_plan_is_refused(bench: Bench, system: str) -> None:
    review = _approved(bench, systems=[system])
    review.batches = review.batches[:1]
    item = "SELECT run_no, {kept}, {call}, 'approved' FROM rescind.plan LIMIT 1"
    _edit(
        review,
        "INSERT INTO rescind.plan_item (run_no, grant_id, call_id, state) "
        + item.format(kept=_KEPT.format(system=system), call=_batch_call(review)),
    )
    _refused(review, "holds a grant that is not in the approved plan")


def test_effects_that_were_edited_are_refused(bench: Bench) -> None:
    review = _approved(bench)
    _edit(
        review, "UPDATE rescind.plan_effect SET chunk = overlay(chunk placing 'X'::bytea from octet_length(chunk)-40)"
    )
    _refused(review, "do not match this digest")


def test_a_call_that_was_widened_is_refused(bench: Bench) -> None:
    review = _approved(bench, systems=["quickbi_menus"])
    review.batches = review.batches[:1]
    _edit(review, f"UPDATE rescind.call SET rows = rows || (SELECT rows FROM rescind.call c2 WHERE NOT c2.rows && "
                  f"rescind.call.rows LIMIT 1) WHERE call_id = {_batch_call(review)}")  # fmt: skip
    _refused(review, "blast radius|call id|content")


def test_an_approval_of_another_run_is_worth_nothing(bench: Bench) -> None:
    first = _approved(bench)
    with first.ledger() as ledger:
        run = ledger.runs.find("access_review", first.run_id)
        ledger.runs.finish(run.run_id, "succeeded", {})
    second = first.bench.run("manual__2", dry_run=False)
    second.through_plan()
    with first.ledger() as ledger:
        digests = {ledger.plans.get(ledger.runs.find("access_review", r.run_id).run_id).digest for r in (first, second)}
    assert len(digests) == 1, "the same effects: only the run tells the two apart"
    _refused(second, "NotApprovedError.*no approval was requested")


def test_a_batch_of_another_run_is_refused(bench: Bench) -> None:
    first = _approved(bench)
    second = first.bench.run("manual__2", kind="targets", dry_run=True, principals=["P1"], reason="nobody at all")
    second.batches = first.batches
    _refused(second, "preflight did not succeed|not part of the plan")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("UPDATE rescind.approval SET valid_until = now() - interval '1 s'", "the approval expired"),
        ("UPDATE rescind.plan SET valid_until = now() - interval '1 s'", "run out|PlanStaleError|valid"),
        ("UPDATE rescind.approval SET answer = 'reject'", "rejected"),
        (
            "UPDATE rescind.approval SET answer = NULL, responded_by = '', responded_at = NULL",
            "no approver has answered",
        ),
        ("UPDATE rescind.approval SET digest = sha256('another plan')", "no approval was requested"),
        ("UPDATE rescind.approval SET responded_by = requested_by", "the requester .* approved it"),
    ],
)
def test_an_approval_that_no_longer_holds_is_refused(bench: Bench, edit: str, message: str) -> None:
    review = _approved(bench)
    _edit(review, edit)
    _refused(review, message)


def test_an_approver_who_was_taken_off_the_list_is_refused_at_send(bench: Bench) -> None:
    review = _approved(bench)
    review.bench.configure(approvers=["ada"])
    _refused(review, "omar.*not listed under 'approvers'")


def test_a_cell_follows_from_the_grants_identity_alone(bench: Bench) -> None:
    review = bench().run(dry_run=True)
    review.preflight()
    review.discover()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        grants = [grant for grant in ledger.snapshot.grants(run.run_id) if grant.revocable]
    assert {grant.key.system for grant in grants} == set(default_connections())
    for grant in grants:
        assert REGISTRY[grant.key.system].cell(grant.key) == grant.cell


def test_a_grant_moved_to_another_place_is_refused(bench: Bench) -> None:
    review = _approved(bench, systems=["dms_permissions"])
    review.batches = review.batches[:1]
    call = _batch_call(review)
    item = f"(SELECT grant_id FROM rescind.plan_item WHERE call_id = {call} LIMIT 1)"
    stays = f"(SELECT cell_row FROM rescind.grant_row WHERE grant_id = {_KEPT.format(system='dms_permissions')})"
    _edit(
        review,
        f"UPDATE rescind.grant_row SET cell_row = {stays} WHERE grant_id = {item}",
        f"UPDATE rescind.call SET rows = ARRAY[{stays}] WHERE call_id = {call}",
    )
    _refused(review, "outside|BlastSet|content")
