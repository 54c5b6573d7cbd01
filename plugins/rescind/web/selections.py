"""The pages on which an approver chooses lines of a plan that stay, and the one address that saves such a selection.

A selection is a wish. It approves nothing: the answer in Airflow uses it, and a second question shows what is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathPart
from starlette.responses import RedirectResponse

from rescind.approvers import Approver, Responder, find_approver, may_not_answer
from rescind.errors import InputError
from rescind.i18n import tr
from rescind.ledger import Ledger, Selection, SelectionRefusedError
from rescind.ledger.read_models.boxes import BOXES_PER_PAGE, BoxFilter, BoxLine, Preview
from rescind.ledger.read_models.overview import OverviewViews as Views
from rescind.ledger.read_models.run_rows import RunFacts, RunLine
from rescind.web import access, pages, shape
from rescind.web.gate import reader_of
from rescind.web.posts import NotSavedError, form_token, token_fits

_MOST_FIELDS = 1_000
_ONCE = frozenset({"token", "plan", "comment", "q", "person", "offset"})
_ID = re.compile(r"[0-9a-f]{64}")
_OFFSET = re.compile(r"[0-9]{0,7}")
SHOWN = 50
"""Lines of a selection that its page shows."""
# With "no-referrer" a browser would send the form with the origin "null".
_REFERRER = {"referrer-policy": "same-origin"}
Number = Annotated[int, PathPart(ge=1, le=2_147_483_647)]
Ordinal = Annotated[int, PathPart(ge=1, le=9_223_372_036_854_775_807)]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Ident = Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Find = Callable[[Views, Request, int], tuple[RunLine, RunFacts]]


@dataclass(frozen=True, slots=True)
class Selecting:
    """What the pages need beside the ledger.

    :param approvers: returns the approvers of the settings of now, and of those of a run (by its ledger id).
    :param preview: returns what a selection leaves of the plan.
    :param read_comment: returns a comment with every character readable, or raises ``InputError``.
    :param may_answer: whether Airflow lets a user answer questions of a DAG; likewise ``key`` and ``origin``, see
        :mod:`rescind.web.access`.
    """

    approvers: Callable[[Ledger, str], Sequence[Sequence[Approver]]]
    preview: Callable[[Ledger, Selection], Preview]
    read_comment: Callable[[object], str]
    may_answer: Callable[[Any, str], bool] = access.may_answer
    key: Callable[[], bytes] = access.form_key
    origin: Callable[[], str] = access.base_origin


@dataclass(frozen=True, slots=True)
class _Form:
    """A form as it was sent."""

    token: str
    plan: str
    comment: str
    wanted: BoxFilter
    boxes: frozenset[str]


def routes(app: FastAPI, ledger: Callable[[], Ledger], find: Find, selecting: Selecting) -> None:
    """Add the pages and the address.

    :param find: returns a run if this reader may see it, else raises 404.
    """

    @app.get("/runs/{number}/select")
    def select(request: Request, number: Number, q: Text = "", person: Ident = "", offset: Offset = 0) -> Response:
        views, reader = ledger().views, reader_of(request)
        run, facts = find(views, request, number)
        wanted = BoxFilter(q.strip(), person, offset)
        why_not = _why_not(ledger(), selecting, request, run)
        boxes = views.boxes(number, reader.dags, wanted) if facts.plan and not why_not else []
        newest = ledger().selections.newest(run.run_id, facts.plan, reader.ident) if boxes else None
        total = boxes[0].boxes if boxes else 0
        chosen = {name: value for name, value in (("q", wanted.text), ("person", person)) if value}

        def link(to: int) -> str:
            return "?" + urlencode({**chosen, **({"offset": to} if to else {})})

        last = offset + BOXES_PER_PAGE
        shown = pages.page(
            request,
            "select.html",
            run=run,
            boxes=boxes,
            total=total,
            wanted=wanted,
            why_not=why_not,
            newest=newest,
            ticked=frozenset(newest.grant_ids if newest else ()),
            elsewhere=_elsewhere(newest, boxes),
            plan=facts.plan,
            senders=shape.senders(facts),
            token="" if why_not else form_token(selecting.key(), reader.ident, number, facts.plan, datetime.now(UTC)),
            before=link(max(0, offset - BOXES_PER_PAGE)) if offset else None,
            after=link(last) if last < total else None,
        )
        shown.headers.update(_REFERRER)
        return shown

    @app.post("/runs/{number}/selections")
    def save(request: Request, number: Number) -> Response:
        reader, form = reader_of(request), _form(request.state.body)
        now = datetime.now(UTC)
        if not reader.bearer and not token_fits(selecting.key(), form.token, reader.ident, number, form.plan, now):
            raise NotSavedError(403, tr("The form is too old, or belongs to another run, plan or user. Open it again."))
        run, _ = find(ledger().views, request, number)
        if why_not := _why_not(ledger(), selecting, request, run):
            raise NotSavedError(403 if is_open(run) else 409, _unsaved(why_not))
        saved = _save(ledger(), selecting, request, run, form)
        return RedirectResponse(f"selections/{saved.number}", 303)

    @app.get("/runs/{number}/selections/{selection}")
    def selection(request: Request, number: Number, selection: Ordinal) -> Response:
        views, reader = ledger().views, reader_of(request)
        run, facts = find(views, request, number)
        found = views.selection(number, reader.dags, selection)
        if found is None:
            raise HTTPException(404)
        newest = ledger().selections.newest(run.run_id, found.digest, found.user_id)
        current = is_open(run) and facts.plan == found.digest
        lines = views.boxes_named(number, reader.dags, found.grant_ids) if current else []
        used = current and newest == found and found.user_id == reader.ident  # to plan again takes time
        return pages.page(
            request,
            "selection.html",
            run=run,
            found=found,
            lines=lines[:SHOWN],
            total=len(lines),
            current=current,
            mine=found.user_id == reader.ident,
            newer=newest.number if newest and newest.number != found.number else None,
            preview=selecting.preview(ledger(), found) if used and found.grant_ids else None,
            option=f"Use my selection {found.digest[:12]}",
        )


def is_open(run: RunLine) -> bool:
    """Return whether the first question about a run's plan waits for an answer."""
    return (
        run.asked_at is not None
        and run.answer is None
        and not run.narrowed
        and not run.dry_run
        and run.finished_at is None
        and run.operation == "revoke"
        and run.valid_until is not None
        and run.valid_until > datetime.now(UTC)
    )


def _why_not(ledger: Ledger, selecting: Selecting, request: Request, run: RunLine) -> str:
    """Return why the reader may not choose lines of a run, or an empty text."""
    reader = reader_of(request)
    if not is_open(run):
        return tr("No question about this run waits for its first answer")
    if not selecting.may_answer(reader.user, run.dag_id):
        return tr("You may not answer questions of this DAG in Airflow")
    user = Responder(id=reader.ident, name="" if reader.name == reader.ident else reader.name)
    try:
        listed = [find_approver(one, user.id) for one in selecting.approvers(ledger, run.run_id)]
        problem = may_not_answer(run.requested_by, user, listed)
    except InputError as error:
        problem = error.problem
    return tr("You may not choose here: {problem}", problem=problem) if problem else ""


def _form(body: bytes) -> _Form:
    """Return the fields of a form.

    :raises NotSavedError: for fields that the form does not have, or more than it has.
    """
    wrong = NotSavedError(422, _unsaved(tr("The form has other fields than this page")))
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise wrong from None
    once = {name: value for name, value in pairs if name != "box"}
    boxes = [value for name, value in pairs if name == "box"]
    q, person, offset = (once.get(name, "") for name in ("q", "person", "offset"))
    fits = once.keys() <= _ONCE and len(once) + len(boxes) == len(pairs) and _OFFSET.fullmatch(offset)
    if not fits or not all(map(_ID.fullmatch, (*boxes, once.get("plan", "")))) or "\x00" in q + person:
        raise wrong
    wanted = BoxFilter(q.strip()[:200], person[:500], int(offset or 0))
    return _Form(once.get("token", ""), once["plan"], once.get("comment", ""), wanted, frozenset(boxes))


def _save(ledger: Ledger, selecting: Selecting, request: Request, run: RunLine, form: _Form) -> Selection:
    """Save a selection: what the form's page shows as it was ticked, and the rest as it was saved before.

    :raises NotSavedError: when it does not fit the plan that waits for an answer.
    """
    views, reader = ledger.views, reader_of(request)
    try:
        ticked = views.boxes_named(run.number, reader.dags, form.boxes)
        if {one.value for one in ticked} != form.boxes:
            raise SelectionRefusedError("RS005")
        before = ledger.selections.newest(run.run_id, form.plan, reader.ident)
        kept = set(before.grant_ids if before else ())
        for box in views.boxes(run.number, reader.dags, form.wanted):
            kept -= set(box.grants)
        kept |= {one for box in ticked for one in box.grants}
        comment = selecting.read_comment(form.comment)
        if kept and not comment:
            raise NotSavedError(422, _unsaved(tr("Write why these lines stay")))
        return ledger.selections.save(
            run.run_id, form.plan, user_id=reader.ident, user_name=reader.name, grant_ids=kept, comment=comment
        )
    except InputError as error:
        raise NotSavedError(422, _unsaved(tr("The comment cannot be used: {problem}", problem=error.problem))) from None
    except SelectionRefusedError as error:
        raise NotSavedError(429 if error.code == "RS007" else 409, _unsaved(tr(str(error)))) from None


def _unsaved(why: str) -> str:
    return tr("{why}. Nothing was saved.", why=why)


def _elsewhere(newest: Selection | None, boxes: Sequence[BoxLine]) -> int:
    """Return how many selected grants are not on this page of boxes."""
    return len(set(newest.grant_ids if newest else ()) - {one for box in boxes for one in box.grants})
