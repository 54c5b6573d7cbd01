"""An approver ticks lines on the page, saves, and answers in Airflow: a wish, and every way to abuse one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.evidence.bundle.answers import narrowing as bundle_narrowing
from rescind.evidence.bundle.answers.narrowing import check_narrowing
from rescind.evidence.bundle.read import FolderSource, records
from rescind.evidence.bundle.verify import verify
from rescind.web.posts import form_token
from tests.integration.approval.test_leave_out import asked, edit, nothing_is_sent, small, state
from tests.support.reviews.approval import KEYS
from tests.support.reviews.desk import KEY, ORIGIN, Desk
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
WHY = "still hands over <b>*until*</b> Friday"
TYPED = "\u202eevil <script>alert(1)</script> [x](javascript:alert(1)) **b** | `c`"


def waiting(review: Review) -> Review:
    """Bring a review to where its question is put."""
    asked(review)
    return review


def selections(review: Review) -> int:
    with review.ledger() as ledger:
        found = ledger.database.read(lambda c: c.execute("SELECT count(*) AS n FROM rescind.selection").fetchone())
        return int(found["n"])


def saved_at(review: Review, which: int) -> datetime:
    with review.ledger() as ledger:
        rows = ledger.database.read(
            lambda c: c.execute("SELECT chosen_at FROM rescind.selection ORDER BY selection_no").fetchall()
        )
        return rows[which]["chosen_at"]


def shared_box(review: Review) -> str:
    """Make two planned grants of one person what a single call removes together; the value of their box."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        items = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
        grants = ledger.snapshot.grants_by_id(run.run_id, items).values()
    dms = sorted((one.key.principal_id, one.grant_id) for one in grants if one.key.system == "dms_permissions")
    user = next(user for user, _ in dms if sum(one == user for one, _ in dms) > 1)
    first, second = [ident for one, ident in dms if one == user][:2]
    cell = "(cell_container, cell_row, cell_kind, cell_column)"
    edit(review, f"UPDATE rescind.grant_row SET {cell} = (SELECT cell_container, cell_row, cell_kind, cell_column FROM"
                 f" rescind.grant_row WHERE grant_id = '\\x{first}') WHERE grant_id = '\\x{second}'")  # fmt: skip
    return first


def test_ticked_lines_stay_and_the_rest_is_proven_gone(bench: Bench) -> None:
    review = waiting(small(bench()))
    before, desk = state(review), Desk(review)
    boxes = desk.form()["boxes"]
    assert set(boxes) == {ident for ident, one in before["items"].items() if one[0] == "planned"}
    page = desk.ask("select").text
    assert "Asked by <bdi>rita</bdi>" in page and f"Ticked on this page: # of {len(boxes)}" in page
    ticked = set(list(boxes)[::7])
    form = {**desk.form()["fields"], "comment": WHY}
    assert desk.post({**form, "box": sorted(ticked)}).status_code == 303  # saved twice
    answer = desk.post({**form, "box": [*ticked, min(ticked)]})
    assert answer.status_code == 303
    shown = desk.ask(answer.headers["location"]).text
    assert f"Use my selection {before['plan'][:12]}" in shown and "&lt;b&gt;*until*&lt;/b&gt; Friday" in shown
    assert "Goes" in shown and f"before {before['calls']}" in shown and "/tasks/approve/required_actions" in shown
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        wish = ledger.selections.get(run.run_id, int(answer.headers["location"].split("/")[1]))
        assert set(desk.form()["ticked"]) == ticked and wish.comment == WHY
    kept = set(wish.grant_ids)
    assert kept == ticked and len(kept) > 2 and state(review) == before, "a wish changes nothing"

    question = review.approval()
    with review.ledger() as ledger:
        assert question.ask(review.context("approve"), ledger) is None
    assert question.options == [f"Approve {before['plan']}", f"Use my selection {before['plan'][:12]}", "Reject"]
    assert f"(rescind/runs/{desk.number()}/select)" in question.body
    review.approve(answer="selection", comment="as agreed")
    told = state(review)
    assert (told["plan"], told["state"], told["answer"]) == (before["plan"], "frozen", None), "nothing is approved"
    assert told["narrowing"].left_out == [list(wish.entry)] and told["narrowing"].grants == len(kept)
    nothing_is_sent(review, "only the narrowed plan can be approved")
    assert desk.post({**form, "box": [min(ticked)]}).status_code == 409, "the question is answered"

    second = review.ask_again()
    after = state(review)
    assert second.options == [f"Approve {after['plan']}", "Reject"] and after["plan"] != before["plan"]
    assert f"left out {len(kept)} grants of plan" in second.body and r"\<b\>\*until\*" in second.body
    assert {ident for ident, (one, _) in after["items"].items() if one == "held"} == kept
    review.approve_part()
    review.canary()
    review.revoke()
    review.verify()
    summary = review.report()
    assert f"{len(kept)} kept by the approver" in summary["outcome"]["remains"]
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]
    assert {row["reason"] for row in rows if row["state"] == "held"} == {f"kept by omar: {WHY}\nas agreed"}
    assert {one["verdict"] for one in summary["findings"] if one["remains"].startswith("kept by")} == {"kept"}
    the_evidence_tells(summary, kept)
    later, _ = asked(small(review.bench, "manual__2"))
    asking = later.approval()
    with later.ledger() as ledger:
        ledger.approvals.keys = KEYS
        asking.ask(later.context("approve"), ledger)
    assert f"{len(kept)} of these grants were left out of run {summary['number']} by omar" in asking.body


def the_evidence_tells(summary: dict[str, Any], kept: set[str]) -> None:
    """The wish is in the bundle, and the verifier compares it with what was signed and what stayed."""
    source = FolderSource(Path(summary["bundle"].removeprefix("file://")))
    result = verify(source, approval_keys=[*KEYS.accepted.values()])
    assert result.problems == [] and f"open: {len(kept)} kept" in result.notes
    (plan,), (review,) = records(source, "plan"), records(source, "review")
    narrowing = plan["narrowing"]
    wish = narrowing["selection"]
    assert set(wish["grants"]) == kept and wish["user"] == "omar"
    items = {item["grant_id"]: item for item in records(source, "items")}

    def problems(**change: Any) -> str:
        """With a changed wish; None takes it away."""
        other = {**narrowing, "selection": {**wish, **change}} if change else {**narrowing}
        if not change:
            del other["selection"]
        return "; ".join(check_narrowing(source, review, {**plan, "narrowing": other}, items, None)[0])

    assert problems(user=wish["user"]) == ""
    assert "selection of lines is missing" in problems()
    for change in ({"grants": wish["grants"][1:]}, {"comment": "x"}, {"user": "ada"}, {"user_name": "o"},
                   {"chosen_at": narrowing["requested_at"]}):  # fmt: skip
        assert "is not the one that was signed" in problems(**change), change
    assert "by another user than the answer" in problems(user="ada")
    assert "saved after the answer" in problems(chosen_at=narrowing["responded_at"])
    assert "the reason of the selection" in problems(comment="x")
    sent = min(ident for ident, item in items.items() if item["call"])
    assert "a selected line was not kept" in problems(grants=[*wish["grants"], sent])
    assert "a grant was kept that was not selected" in problems(grants=wish["grants"][1:])
    assert bundle_narrowing.SELECTION == "selection"
    other = {sent: {**items[sent], "call": None, "standing": "held", "reason": "kept by ada: fine"}}
    whole = {**narrowing, "digest": plan["digest"]}  # nothing was narrowed after it
    for before in ({"narrowing": whole}, {"narrowing": narrowing}):
        forged = {**{name: one for name, one in plan.items() if name != "narrowing"}, **before}
        assert "nothing that was signed says so" in "; ".join(
            check_narrowing(source, review, forged, items | other, None)[0]
        )
    plain: Any = SimpleNamespace(open=lambda _: BytesIO())  # the effects of a plan that was never narrowed
    assert check_narrowing(plain, review, {}, items, None)[0] == [bundle_narrowing._UNSIGNED]
    assert check_narrowing(plain, review, {}, {sent: items[sent]}, None)[0] == []


FORGED: dict[str, tuple[dict[str, Any], dict[str, str], int]] = {
    "another site of the domain": ({}, {"sec-fetch-site": "same-site", "origin": "http://evil.example.org:8080"}, 403),
    "another site": ({}, {"sec-fetch-site": "cross-site", "origin": ORIGIN}, 403),
    "typed address": ({}, {"sec-fetch-site": "none"}, 403),
    "no token": ({"token": ""}, {}, 403),
    "token of another user": ({"token": "{ada}"}, {}, 403),
    "token of another run": ({"token": "{run}"}, {}, 403),
    "old token": ({"token": "{old}"}, {}, 403),
    "token of another plan": ({"plan": "0" * 64}, {}, 403),
    "no reason": ({"comment": " \n"}, {}, 422),
    "long reason": ({"comment": "x" * 1001}, {}, 422),
    "huge reason": ({"comment": "x" * 1_000_000}, {}, 413),
    "50,000 lines": ({"box": [f"{n:064x}" for n in range(50_000)]}, {}, 413),
    "3,000 lines": ({"box": [f"{n:064x}" for n in range(3_000)]}, {}, 422),
    "foreign line": ({"box": ["f" * 64]}, {}, 409),
    "held line": ({"box": ["{held}"]}, {}, 409),
    "part of a box": ({"box": ["{part}"]}, {}, 409),
    "no id": ({"box": ["x"]}, {}, 422),
    "another field": ({"approve": "1"}, {}, 422),
    "a field twice": ({"plan": ["{plan}", "{plan}"]}, {}, 422),
}


def test_forged_forms_save_nothing_and_say_why(bench: Bench) -> None:
    review = waiting(small(bench(approvers=["omar", "ada"])))
    desk, before = Desk(review), state(review)
    whole = shared_box(review)
    boxes = desk.form()["boxes"]
    assert "2 grants that one call removes together" in boxes[whole]
    held = next((ident for ident, (one, _) in before["items"].items() if one == "held"), "e" * 64)
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        (box,) = ledger.views.boxes_named(run.number, [review.dag_id], [whole])
    now, number = datetime.now(UTC), desk.number()
    known = {
        "{ada}": form_token(KEY, "ada", number, before["plan"], now),
        "{run}": form_token(KEY, "omar", number + 1, before["plan"], now),
        "{old}": form_token(KEY, "omar", number, before["plan"], now - timedelta(hours=2)),
        "{plan}": before["plan"],
        "{held}": held,
        "{part}": box.grants[1],
    }
    form = {**desk.form()["fields"], "comment": WHY, "box": [next(iter(boxes))]}
    for name, (fields, headers, status) in FORGED.items():
        filled = json.loads(json.dumps(fields))
        for key, value in filled.items():
            filled[key] = [known.get(one, one) for one in value] if isinstance(value, list) else known.get(value, value)
        answer = desk.post({**form, **filled}, **headers)
        assert answer.status_code == status, (name, answer.status_code)
        assert "Nothing was saved" in answer.text or status == 403, name
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for path, method in (("select", "POST"), ("selections", "PUT"), ("selections/1", "POST"), ("selections/", "POST")):
        assert desk.ask(path, method=method, **desk.headers).status_code == 405, path
    old = Desk(review, headers={})  # a browser that does not say where a form comes from
    assert old.post(form).status_code == 403
    for origin in ("null", "http://evil.example.org:8080", "http://airflow.example.org", f"{ORIGIN}.evil.example"):
        assert old.post(form, origin=origin).status_code == 403, origin
    assert selections(review) == 0
    assert old.post(form, origin=ORIGIN).status_code == 303
    bearer = {**form, "token": ""}
    assert desk.post(bearer, authorization="Bearer ").status_code == 403
    assert desk.post(bearer, authorization="Bearer abc").status_code == 303
    for who, why in (
        (Desk(review, "vera"), "not listed"), (Desk(review, "rita"), "requester cannot"),
        (Desk(review, "7", "Rita"), "requester cannot"), (Desk(review, "omar", "rita"), "requester cannot"),
        (Desk(review, "omar", answers=False), "may not answer questions"),
    ):  # fmt: skip
        token = form_token(KEY, who.user, number, before["plan"], now)
        answer = who.post({**form, "token": token})
        assert answer.status_code == 403 and why in answer.text, who.user
        assert why in who.ask("select").text and "<textarea" not in who.ask("select").text
    for _ in range(8):
        assert desk.save([], "").status_code == 303
    assert desk.save([]).status_code == 429, "the eleventh in a minute"
    saved = Desk(review, "ada").save([whole], TYPED)
    shown = desk.ask(saved.headers["location"]).text
    assert "&lt;script&gt;" in shown and "<script>alert" not in shown and "\u202e" not in shown
    assert "Only an answer of" in shown and "[x](javascript" in shown
    assert state(review) == before and selections(review) == 11


def test_an_answer_uses_the_own_selection_from_before_it_or_none(bench: Bench) -> None:
    one = bench(approvers=["omar", "ada"])
    review = waiting(small(one))
    desk, before = Desk(review), state(review)
    first, second, *_ = desk.form()["boxes"]
    form = {**desk.form()["fields"], "comment": WHY, "box": [first]}
    said = "The same question is asked again while this task has tries left"
    with pytest.raises(Exception, match=f"'omar' saved none for plan.*{said}"):
        review.approve(answer="selection")
    Desk(review, "ada").save([first], WHY)
    with pytest.raises(Exception, match="'omar' saved none for plan"):
        review.approve(answer="selection")
    asked_at = datetime.now(UTC) - timedelta(seconds=1)
    desk.save([first], WHY)
    event = {"chosen_options": [f"Use my selection {before['plan'][:12]}"], "params_input": {},
             "responded_by_user": {"id": "omar"}, "responded_at": asked_at}  # fmt: skip
    with pytest.raises(Exception, match=r"saved selection \d+ after the answer"):
        review.approval().execute_complete(review.context("approve"), event)
    desk.save([first, second], WHY)  # an older one from before the answer is not used in its place
    between = {**event, "responded_at": saved_at(review, -2) + timedelta(microseconds=1)}
    with pytest.raises(Exception, match=r"saved selection \d+ after the answer"):
        review.approval().execute_complete(review.context("approve"), between)
    for fields in ({}, {"leave_out": ["x"], "comment": WHY}):
        with pytest.raises(Exception, match=f"approves everything, and selection .* of omar says.*{said}"):
            review.approve(**fields)  # the wrong button
    with pytest.raises(Exception, match="belongs to another plan"):
        other = {**event, "chosen_options": ["Use my selection 000000000000"]}
        review.approval().execute_complete(review.context("approve"), other)
    desk.save([], "")
    with pytest.raises(Exception, match="which has no line"):
        review.approve(answer="selection")
    desk.save([second], WHY)
    with pytest.raises(Exception, match="uses a selection and names people"):
        review.approve(answer="selection", leave_out=["x"], comment=WHY)
    for user, why in (("rita", "requester cannot"), ("vera", "not listed")):
        with pytest.raises(Exception, match=why):
            review.approve(user, "selection")
    one.configure(approvers=["ada"])
    with pytest.raises(Exception, match="not listed in the setting 'approvers'"):
        review.approve(answer="selection")
    assert desk.post(form).status_code == 403, "removed from the approvers"
    one.configure(approvers=["omar", "ada"])
    assert state(review) == before
    nothing_is_sent(review, "no approver has answered")
    review.approve(answer="selection")
    told = state(review)
    review.approve(answer="selection")  # delivered twice
    with pytest.raises(Exception, match="has left out a part of its plan already"):
        review.approve("ada", "selection")
    again = review.approval()
    with review.ledger() as ledger:  # the task is cleared
        assert again.ask(review.context("approve"), ledger)["answer"] == "leave out"
    assert state(review) == told
    review.ask_again()
    narrower = state(review)
    assert review.ask_again().options == [f"Approve {narrower['plan']}", "Reject"]
    for answer in ("Use my selection", "Approve"):
        old = {**event, "chosen_options": [f"{answer} {before['plan'][: 12 if 'Use' in answer else 64]}"]}
        with pytest.raises(Exception, match="belongs to another plan"):
            review.second().execute_complete(review.context("approve_part"), old)
    new = {**event, "chosen_options": [f"Use my selection {narrower['plan'][:12]}"]}
    with pytest.raises(Exception, match="nothing can be left out"):
        review.second().execute_complete(review.context("approve_part"), new)
    assert state(review) == narrower
    nothing_is_sent(review, "no approver has answered")
    other = waiting(small(one, "manual__other"))
    with pytest.raises(Exception, match="'omar' saved none"):
        other.approve(answer="selection")  # the selection of another run


def test_whoever_writes_to_the_ledger_can_shrink_a_plan_at_most_and_nothing_is_saved_too_late(bench: Bench) -> None:
    review = waiting(small(bench()))
    desk, whole = Desk(review), shared_box(review)
    form = {**desk.form()["fields"], "comment": WHY, "box": [whole]}
    assert desk.post(form).status_code == 303
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        wish = ledger.selections.newest(run.run_id, state(review)["plan"], "omar")
    assert len(wish.grant_ids) == 2
    for ids, why in (
        ("grant_ids[:1]", "only a part of what a call removes together"),
        (f"ARRAY['\\x{'f' * 64}'::bytea]", "1 grants that are not in this plan"),
    ):
        edit(review, f"UPDATE rescind.selection SET grant_ids = {ids}")
        with pytest.raises(Exception, match=why):
            review.approve(answer="selection")
    edit(review, "UPDATE rescind.approval SET valid_until = clock_timestamp() - interval '1 second'")
    answer = desk.post(form)
    assert answer.status_code == 409 and "The time to answer is over" in answer.text
    edit(review, "UPDATE rescind.approval SET valid_until = clock_timestamp() + interval '1 hour'")
    ids = ", ".join(f"'\\x{one}'::bytea" for one in wish.grant_ids)
    edit(review, f"UPDATE rescind.selection SET grant_ids = ARRAY[{ids}]")
    review.approve(answer="selection")
    edit(review, "UPDATE rescind.selection SET comment = 'x'")
    with pytest.raises(Exception, match="does not hold the selection"):
        review.second().execute(review.context("approve_part"))
    edit(review, f"UPDATE rescind.selection SET comment = '{WHY}'")
    review.ask_again()
    assert desk.post(form).status_code == 409 and selections(review) == 1, "another plan stands now"
    review.approve_part()
    edit(review, "UPDATE rescind.selection SET chosen_at = chosen_at - interval '1 hour'")
    nothing_is_sent(review, "does not hold the selection")
