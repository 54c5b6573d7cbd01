"""What a run knows about one person, for the page: roster, accounts, access paths, and what would close them."""

from __future__ import annotations

from collections.abc import Iterator

from rescind.errors import RescindError
from rescind.evidence.report.closing import closing_rows, concerning
from rescind.ledger import Ledger, Run
from rescind.ledger.read_models.person import AccountLine, PathLine, PathsPart, PersonAccess
from rescind.model import Principal, PrincipalType
from rescind.review import Roster
from rescind.review.roster.admit import PERSON_SPACE, Person
from rescind.review.text import printable
from rescind.run_state.states import STAYS
from rescind.systems import system_named
from rescind.workflow.closing.paths_drawing import paths_svg
from rescind.workflow.closing.person_paths import PersonPaths, gaps, user_paths
from rescind.workflow.inputs import inputs_of

MOST_LINES = 300
"""Paths in words for each product."""


def person_access(ledger: Ledger, run_id: str, person: str) -> PersonAccess:
    """Return what a run knows about a person.

    :param person: id in the roster, or ``system/account/type/id`` of a principal that the roster does not know.
    """
    run = ledger.runs.get(run_id)
    roster, one = _roster(ledger, run), None
    if roster is not None:
        one = next(iter(roster.holders(PERSON_SPACE, person)), None)
    accounts = list(_accounts(ledger, run, roster, one) if roster and one else _principal(ledger, run, person))
    places = [(line.system, line.account, line.principal_id) for line in accounts]
    left_out = _shared(roster, one) if roster and one else ()
    found = list(user_paths(ledger, run, places))
    rows = closing_rows((scope.system, scope.notes) for scope in ledger.scopes.all(run.run_id))
    grants = frozenset[str]().union(*(part.own for part in found))
    about = concerning(rows, {line.principal_id for line in accounts}, grants)
    name = one.name if one else next((line.name for line in accounts if line.name), "")
    return PersonAccess(
        person,
        one is not None,
        name,
        one.department if one else "",
        str(one.status) if one else "",
        one.terminated_at if one else None,
        one.held if one else "",
        accounts,
        [_part(part, name) for part in found if part.ways or part.remains],
        about,
        [*gaps(ledger, run, places), *left_out],
        all(part.proven for part in found),
    )


def _roster(ledger: Ledger, run: Run) -> Roster | None:
    try:
        return inputs_of(ledger, run).roster.roster
    except RescindError:  # a run of an older version, or one whose inputs another version cannot read
        return None


def _shared(roster: Roster, one: Person) -> Iterator[str]:
    """Yield the ids of a person that are left out, because they do not tell who it is."""
    for space, ident in sorted(one.ids.items()):
        if roster.holders(space, ident) != [one]:
            yield f"{space} {printable(ident)}: more than one row of the roster has this id"


def _accounts(ledger: Ledger, run: Run, roster: Roster, one: Person) -> Iterator[AccountLine]:
    """Yield the accounts that the roster gives to this person and to nobody else."""
    ids = {space: ident for space, ident in one.ids.items() if roster.holders(space, ident) == [one]}
    known: dict[tuple[str, str, str], Principal] = {}
    for principal in ledger.snapshot.users_known_as(run.run_id, sorted(set(ids.values()))):
        spaces = system_named(principal.system).id_spaces
        own = ((spaces[0], principal.principal_id), *principal.other_ids) if spaces else ()
        if any(space in spaces and ids.get(space) == ident for space, ident in own):
            known.setdefault((principal.system, principal.account, principal.principal_id), principal)
    for scope in ledger.scopes.all(run.run_id):
        spaces = system_named(scope.system).id_spaces
        if spaces and spaces[0] in ids:
            known.setdefault((scope.system, scope.account, ids[spaces[0]]), _unseen(scope.system, scope.account, ids))
    for (system, account, ident), principal in sorted(known.items()):
        yield AccountLine(system, account, ident, principal.name, _status(principal), principal.last_used_at)


def _unseen(system: str, account: str, ids: dict[str, str]) -> Principal:
    return Principal(system, account, PrincipalType.USER, ids[system_named(system).id_spaces[0]])


def _principal(ledger: Ledger, run: Run, person: str) -> Iterator[AccountLine]:
    """Yield the account that a principal is, if the id names a user of a known system."""
    places = {(scope.system, scope.account) for scope in ledger.scopes.all(run.run_id)}
    for system, account in sorted(places):
        before = f"{system}/{account}/{PrincipalType.USER}/"
        if person.startswith(before):
            ident = person.removeprefix(before)
            known = {(one.system, one.account): one for one in ledger.snapshot.users_known_as(run.run_id, [ident])}
            one = known.get((system, account), Principal(system, account, PrincipalType.USER, ident))
            if one.principal_id == ident:
                yield AccountLine(system, account, ident, one.name, _status(one), one.last_used_at)


def _status(one: Principal) -> str:
    return "" if one.status == "unknown" else str(one.status)


def _part(found: PersonPaths, name: str) -> PathsPart:
    lines = [PathLine(STAYS, words, text, "") for words, text in found.remains]
    lines += [
        PathLine(
            way.fate.kind,
            way.fate.words,
            way.path.in_words(),
            way.path.how_to_close() if way.fate.kind == STAYS else "",
        )
        for way in found.ways[:MOST_LINES]
    ]
    title = f"Access paths of {name or found.principal}"
    where = f"{', '.join(system_named(system).title for system in found.systems)} · {found.account}"
    return PathsPart(
        where, len(found.ways) + len(found.remains), lines, paths_svg(title, name or found.principal, found.ways)
    )
