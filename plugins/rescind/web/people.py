"""The pages about people: everybody in a run, and one person with accounts, access paths and history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathPart
from markupsafe import Markup

from rescind.i18n import mark, tr, trn
from rescind.ledger.read_models.item_rows import PersonLine
from rescind.ledger.read_models.person import HistoryLine, PersonAccess, PersonViews
from rescind.ledger.read_models.run_rows import RunFacts, RunLine
from rescind.web import pages
from rescind.web.gate import reader_of

log = logging.getLogger(__name__)

PEOPLE_PER_PAGE = 50
Number = Annotated[int, PathPart(ge=1, le=2_147_483_647)]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Ident = Annotated[str, Query(alias="id", max_length=500, pattern=r"^[^\x00]*$")]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Find = Callable[[PersonViews, Request, int], tuple[RunLine, RunFacts]]


@dataclass(frozen=True, slots=True)
class Event:
    """One point of the time line of a person; ``run`` is the number of its run, or None."""

    at: datetime
    words: str
    run: int | None = None


def routes(
    app: FastAPI,
    views: Callable[[], PersonViews],
    find: Find,
    access: Callable[[str, str], PersonAccess] | None,
) -> None:
    """Add the pages.

    :param find: returns a run if this reader may see it, else raises 404.
    :param access: returns what a run knows about a person.
    """

    @app.get("/runs/{number}/people")
    def people(request: Request, number: Number, q: Text = "", offset: Offset = 0) -> Response:
        line, _ = find(views(), request, number)
        text = q.strip()
        found = views().people(number, reader_of(request).dags, text=text, offset=offset, limit=PEOPLE_PER_PAGE)

        def link(to: int) -> str:
            return "?" + urlencode({**({"q": text} if text else {}), **({"offset": to} if to else {})})

        last = offset + PEOPLE_PER_PAGE
        return pages.page(
            request,
            "people.html",
            run=line,
            people=found,
            text=text,
            offset=offset,
            before=link(max(0, offset - PEOPLE_PER_PAGE)) if offset else None,
            after=link(last) if last < found.total else None,
        )

    @app.get("/runs/{number}/person")
    def person(request: Request, number: Number, ident: Ident = "") -> Response:
        if not ident:
            return people(request, number)
        line, _ = find(views(), request, number)
        dags = reader_of(request).dags
        rows = views().people(number, dags, person=ident, limit=1).rows
        mine = rows[0] if rows else None
        known = access(line.run_id, ident) if access is not None else PersonAccess(ident, False)
        history = views().history(dags, [(one.system, one.account, one.principal_id) for one in known.accounts])
        if mine is None and not known.parts and not history:
            raise HTTPException(404)  # the roster knows people of whom this reader's runs found nothing
        return pages.page(
            request,
            "person.html",
            run=line,
            known=known,
            mine=mine,
            name=known.name or (mine.name if mine else "") or ident,
            history=history,
            events=events(known, mine, history),
            drawing=Markup,
        )


def events(known: PersonAccess, mine: PersonLine | None, history: Sequence[HistoryLine]) -> list[Event]:
    """Return the time line of a person, oldest first: the last day, and what each run did."""
    found = [Event(known.left_at, tr("last day, by the roster"))] if known.left_at else []
    for one in history:
        words = trn("found with {count} grant", "found with {count} grants", one.grants)
        found.append(Event(one.started_at, words, one.number))
        if one.answer and one.revoked and one.responded_at:
            found.append(Event(one.responded_at, _answered(one), one.number))
        if one.first_sent:
            found.append(Event(one.first_sent, tr("first call sent"), one.number))
        if one.proven_at:
            found.append(Event(one.proven_at, _proven(one), one.number))
    return sorted(found, key=lambda event: (event.at, event.run or 0))


def _answered(one: HistoryLine) -> str:
    if one.answer == "approve":
        named, plain = mark("{count} to be revoked, approved by {name}"), mark("{count} to be revoked, approved")
    else:
        named, plain = mark("{count} to be revoked, rejected by {name}"), mark("{count} to be revoked, rejected")
    return tr(named if one.responded_by else plain, count=one.revoked, name=one.responded_by)


def _proven(one: HistoryLine) -> str:
    return tr("{done} of {total} proven gone", done=one.proven, total=one.revoked)
