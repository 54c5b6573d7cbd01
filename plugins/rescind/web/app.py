"""The FastAPI app: pages, report, bundle and static files, behind the gate. All routes but one are GET."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import RedirectResponse, StreamingResponse

from rescind.evidence.report.closing import closing_rows
from rescind.i18n import Reader
from rescind.ledger import SINGLE, Ledger
from rescind.ledger.read_models.item_rows import ItemFilter
from rescind.ledger.read_models.overview import OverviewViews as Views
from rescind.ledger.read_models.person import PersonAccess, PersonViews
from rescind.ledger.read_models.run_rows import RunFacts, RunLine
from rescind.web import access, pages, people, selections, shape
from rescind.web.downloads.bundles import find_bundle, packed
from rescind.web.downloads.export import items_as_csv, runs_as_csv
from rescind.web.downloads.reports import find_report
from rescind.web.gate import Gate, reader_of, said
from rescind.web.language import Language
from rescind.web.overview import NOTHING, overview
from rescind.web.selections import Selecting, is_open

log = logging.getLogger(__name__)

DAGS = ("access_review", "revoke_access", "offboard", "restore_access")
"""The DAGs whose readers may see the page while the ledger holds no runs."""

RUNS_PER_PAGE = 25
ITEMS_PER_PAGE = 50
PEOPLE_ON_RUN = 12
"""People on the page of a run; the others are on a page of their own."""
CLOSING_ON_RUN = 25
"""Lines on what would close paths, on the page of a run."""
MOST_LISTED = 200
"""Runs in an exported list, the newest ones."""
MOST_EXPORTED = 50_000
"""Items in one exported file."""
_MOST_OFFSET = 1_000_000
_MOST_NUMBER = 2_147_483_647
_ASK_AGAIN_S = 60.0

Number = Annotated[int, PathPart(ge=1, le=_MOST_NUMBER)]
Before = Annotated[int | None, Query(ge=1, le=_MOST_NUMBER)]
Word = Annotated[str, Query(max_length=60, pattern=r"^[a-z0-9_]*$")]
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Offset = Annotated[int, Query(ge=0, le=_MOST_OFFSET)]


def create_app(
    dsn: Callable[[], str],
    folders: Callable[[], Iterable[Path]],
    titles: Mapping[str, str],
    *,
    identify: Any = access.identify,
    readable: Any = access.readable,
    auth_manager: Callable[[], str] = access.auth_manager,
    usual_reader: Callable[[], Reader] = Reader,
    person_access: Callable[[Ledger, str, str], PersonAccess] | None = None,
    selecting: Selecting | None = None,
    risk_level: shape.RiskLevel | None = None,
) -> FastAPI:
    """Return the app.

    :param dsn: returns the connection string of the ledger; called for the first page.
    :param folders: returns the folders that may hold reports and bundles.
    :param titles: display names of the permission systems; a system without one is shown by its id.
    :param identify: see :class:`~rescind.web.gate.Gate`; likewise ``readable``. The defaults are Airflow's own.
    :param auth_manager: returns the class of Airflow's auth manager, which the page records for preflight.
    :param usual_reader: returns language and time zone for readers who chose none, see
        :class:`~rescind.web.language.Language`.
    :param person_access: returns what a run (by its ledger id) knows about a person; without it, the page of a person
        shows the history only.
    :param selecting: what the pages need on which lines of a plan are chosen; without it there are none, and nothing
        can be saved.
    :param risk_level: returns the risk of a grant, as ``rescind.workflow.question.risk`` does; without it, no group
        says how many are of high risk.
    """
    # No documentation pages (they load scripts from elsewhere), no redirects (they would name a host).
    app = FastAPI(title="Access reviews", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.titles = dict(titles)
    ledger = _Opened(dsn, auth_manager)
    app.add_middleware(
        Gate,
        identify=identify,
        readable=readable,
        dag_ids=lambda: {*DAGS, *ledger.views().dag_ids()},
        error_page=pages.error_page,
        headers=pages.HEADERS,
        origin=selecting.origin if selecting else None,
    )
    app.add_middleware(Language, default=usual_reader)  # around the gate: its error pages are read too
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    _runs(app, ledger.views, folders)
    _items(app, ledger.views, risk_level)
    people.routes(app, ledger.views, _find, _bound(ledger, person_access))
    _files(app, ledger.views, folders)
    app.state.selecting = selecting is not None
    if selecting is not None:
        selections.routes(app, ledger.ledger, _find, selecting)
    return app


def _bound(
    opened: _Opened, person_access: Callable[[Ledger, str, str], PersonAccess] | None
) -> Callable[[str, str], PersonAccess] | None:
    if person_access is None:
        return None
    return lambda run_id, person: person_access(opened.ledger(), run_id, person)


class _Opened:
    """The ledger of this process. It is opened on first use, and again after its connection has changed."""

    def __init__(self, dsn: Callable[[], str], auth_manager: Callable[[], str]) -> None:
        self._ask, self._auth_manager, self._lock = dsn, auth_manager, threading.Lock()
        self._ledger: Ledger | None = None
        self._dsn, self._asked = "", 0.0

    def views(self) -> Views:
        return self.ledger().views

    def ledger(self) -> Ledger:
        """Return the ledger, opened again when its connection string has changed."""
        with self._lock:
            if self._ledger is None or time.monotonic() - self._asked > _ASK_AGAIN_S:
                dsn = self._ask()
                if self._ledger is None or dsn != self._dsn:
                    self._ledger = Ledger(dsn, max_connections=4, statement_timeout_s=10, connect_timeout_s=5)
                    self._note(self._ledger)
                self._dsn, self._asked = dsn, time.monotonic()
            return self._ledger

    def _note(self, ledger: Ledger) -> None:
        """Tell the tasks which auth manager Airflow has. The page works without that."""
        try:
            ledger.deployment.note_auth_manager(self._auth_manager())
        except Exception as error:  # an auth manager may raise anything
            log.warning("Access reviews: the auth manager is not recorded (%s)", type(error).__name__)


def _runs(app: FastAPI, views: Callable[[], Views], folders: Callable[[], Iterable[Path]]) -> None:
    @app.get("/")
    def home(request: Request) -> Response:
        reader_of(request)
        return RedirectResponse("runs", 307)

    @app.get("/runs")
    def runs(request: Request, before: Before = None) -> Response:
        found = views().runs(reader_of(request).dags, before=before, limit=RUNS_PER_PAGE + 1)
        first = before is None
        more = found[RUNS_PER_PAGE - 1].number if len(found) > RUNS_PER_PAGE else None
        reader = reader_of(request)
        waiting = views().waiting(reader.dags) if first else []
        mine = [run for run in waiting if not reader.names.isdisjoint(run.approvers)]
        over = overview(views(), reader.dags, reader.names, datetime.now(UTC)) if first and found else NOTHING
        return pages.page(
            request,
            "runs.html",
            runs=found[:RUNS_PER_PAGE],
            more=more,
            first=first,
            watch=views().watch(reader.dags) if first else None,
            mine=mine,
            others=[run for run in waiting if run not in mine],
            refused=views().refused(reader.dags) if first else [],
            **over,
        )

    @app.get("/runs.csv")
    def runs_csv(request: Request) -> Response:
        dags = reader_of(request).dags
        content = runs_as_csv(views().runs(dags, limit=MOST_LISTED), views().refused(dags))
        headers = {**pages.BUNDLE_HEADERS, "content-disposition": 'attachment; filename="runs.csv"'}
        return StreamingResponse(content, media_type="text/csv; charset=utf-8", headers=headers)

    @app.get("/runs/{number}")
    def run(request: Request, number: Number) -> Response:
        line, facts = _find(views(), request, number)
        where = list(folders()) if facts.report or facts.bundle else []
        closing = closing_rows(views().closing_notes(number, reader_of(request).dags))
        return pages.page(
            request,
            "run.html",
            run=line,
            facts=facts,
            clock=shape.clock(line, facts),
            senders=shape.senders(facts),
            has_report=find_report(facts.report, where) is not None,
            bundle=find_bundle(facts.bundle, where),
            returns=views().returns(number, reader_of(request).dags) if line.returned else [],
            people=views().people(number, reader_of(request).dags, limit=PEOPLE_ON_RUN) if line.items else None,
            owners=views().question_count(number, reader_of(request).dags) if line.kind != SINGLE else 0,
            can_select=request.app.state.selecting and is_open(line),
            closing=closing[:CLOSING_ON_RUN],
            closing_total=len(closing),
            since=views().since(number, reader_of(request).dags) if line.items else None,
            single_calls=views().single_calls(number, reader_of(request).dags) if line.kind == SINGLE else [],
            **_live(views(), request, line),
        )

    @app.get("/runs/{number}/owners")
    def owners(request: Request, number: Number) -> Response:
        line, _ = _find(views(), request, number)
        asked = views().questions_of(number, reader_of(request).dags)
        return pages.page(request, "owners.html", run=line, questions=asked, now=datetime.now(UTC))

    @app.get("/runs/{number}/live")
    def live(request: Request, number: Number) -> Response:
        line, _ = _find(views(), request, number)
        return pages.page(request, "live.html", run=line, **_live(views(), request, line))


def _wanted(
    system: Word = "",
    state: Word = "",
    verdict: Word = "",
    q: Text = "",
    person: Text = "",
    since: Word = "",
    sort: Word = "",
    department: Text = "",
    by: Word = "",
) -> ItemFilter:
    return ItemFilter(system, state, verdict, q.strip(), person, since, sort, department, by)


Wanted = Annotated[ItemFilter, Depends(_wanted)]
_NAMES = {"text": "q"}
"""Names in the address, where they differ from those of :class:`ItemFilter`."""
_ORDER_ONLY = ("sort", "by")


def _items(app: FastAPI, views: Callable[[], Views], risk_level: shape.RiskLevel | None) -> None:
    @app.get("/runs/{number}/items")
    def items(request: Request, number: Number, wanted: Wanted, offset: Offset = 0) -> Response:
        line, _ = _find(views(), request, number)
        dags = reader_of(request).dags
        counts = views().item_counts(number, dags)
        total = shape.counted(counts, wanted)
        found = views().items(number, dags, wanted, offset=offset, limit=ITEMS_PER_PAGE, total=total)
        chosen = {name: value for name, value in asdict(wanted).items() if value}
        address = {_NAMES.get(name, name): value for name, value in chosen.items()}

        def link(to: int) -> str:
            return "?" + urlencode({**address, **({"offset": to} if to else {})})

        last = offset + ITEMS_PER_PAGE
        return pages.page(
            request,
            "items.html",
            run=line,
            found=found,
            wanted=wanted,
            choices=shape.choices(counts, request.app.state.titles),
            filtered=any(name not in _ORDER_ONLY for name in chosen),
            heads=shape.group_heads(found.rows, risk_level),
            offset=offset,
            before=link(max(0, offset - ITEMS_PER_PAGE)) if offset else None,
            after=link(last) if last < found.total else None,
            every_department="?" + urlencode({name: one for name, one in address.items() if name != "department"}),
            export=f"items.csv?{urlencode(address)}",
            most_exported=MOST_EXPORTED,
        )

    @app.get("/runs/{number}/items.csv")
    def items_csv(request: Request, number: Number, wanted: Wanted) -> Response:
        _find(views(), request, number)
        found = views().items(number, reader_of(request).dags, wanted, limit=MOST_EXPORTED, most=MOST_EXPORTED)
        headers = {**pages.BUNDLE_HEADERS, "content-disposition": f'attachment; filename="run-{number}-items.csv"'}
        content = items_as_csv(found.rows, request.app.state.titles)
        return StreamingResponse(content, media_type="text/csv; charset=utf-8", headers=headers)


def _files(app: FastAPI, views: Callable[[], Views], folders: Callable[[], Iterable[Path]]) -> None:
    @app.get("/runs/{number}/report")
    def report(request: Request, number: Number) -> Response:
        _, facts = _find(views(), request, number)
        path = find_report(facts.report, folders())
        if path is None:
            raise HTTPException(404)
        return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=pages.REPORT_HEADERS)

    @app.get("/runs/{number}/bundle")
    def bundle(request: Request, number: Number) -> Response:
        _, facts = _find(views(), request, number)
        where = list(folders())
        path = find_bundle(facts.bundle, where)
        if path is None:
            raise HTTPException(404)
        headers = {**pages.BUNDLE_HEADERS, "content-disposition": f'attachment; filename="{path.name}.zip"'}
        return StreamingResponse(
            packed(path, find_report(facts.report, where)), media_type="application/zip", headers=headers
        )

    @app.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        reader_of(request)
        found = pages.static_file(name)
        if found is None:
            raise HTTPException(404)
        return found


def _find(views: PersonViews, request: Request, number: int) -> tuple[RunLine, RunFacts]:
    """Return the run if this reader may see it. Others get the same 404 as for a run that does not exist."""
    found = views.run(number, reader_of(request).dags)
    if found is None:
        raise HTTPException(404)
    return found


def _live(views: Views, request: Request, run: RunLine) -> dict[str, Any]:
    """Return what changes during a run."""
    dags, finished = reader_of(request).dags, run.finished_at is not None
    systems = views.systems(run.number, dags)
    planned = run.items is not None
    lines = views.progress(run.number, dags)
    return {
        "systems": systems,
        "funnel": shape.funnel(systems, run.operation, left_out=run.left_out),
        "progress": shape.progress(lines, request.app.state.titles, finished=finished, planned=planned),
    }


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, AnyHTTPException):
        return pages.error_page(request, 503)
    return pages.error_page(request, error.status_code, said(error))


async def _not_understood(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    return pages.error_page(request, 404 if any(problem["loc"][0] == "path" for problem in problems) else 422)
