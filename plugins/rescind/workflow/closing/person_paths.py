"""The paths by which a person reaches what, each with what becomes of it in a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rescind.ledger import Ledger, Run
from rescind.model import Grant, GrantKey, PrincipalType
from rescind.plan.access_graph import Node
from rescind.review.text import printable
from rescind.run_state import GOES, GONE, STAYS, Fate, fate_of
from rescind.systems.effective import AccessPath
from rescind.workflow.closing.close_paths import ended_elsewhere
from rescind.workflow.closing.surroundings import Surroundings, complete_systems, product

_STAYS = Fate(STAYS, "stays")


@dataclass(frozen=True, slots=True)
class MarkedPath:
    """A path, what becomes of it, and what of it goes.

    :param fate: of the whole path: it stays unless one of its steps goes.
    :param step: number of the step that goes: 0 is the person's own membership, the last one is the grant.
    """

    path: AccessPath
    fate: Fate
    step: int | None = None


@dataclass(frozen=True, slots=True)
class PersonPaths:
    """The paths of one user of an account, over all systems of a product that were listed completely.

    :param own: ids of the grants that the user holds.
    :param name: of the user, where a grant has it.
    """

    principal: str
    systems: Sequence[str]
    account: str
    ways: Sequence[MarkedPath]
    own: frozenset[str] = field(default_factory=frozenset)
    name: str = ""

    @property
    def title(self) -> str:
        """Who this is, in words."""
        return f"user {self.principal} ({', '.join(self.systems)}; {self.account})"


def person_paths(ledger: Ledger, run: Run, holders: Iterable[GrantKey]) -> Iterator[PersonPaths]:
    """Yield the paths of every user among these holders.

    :param holders: keys of grants; only those of users in completely listed systems count.
    """
    return user_paths(
        ledger,
        run,
        {(key.system, key.account, key.principal_id) for key in holders if key.principal_type == PrincipalType.USER},
    )


def user_paths(ledger: Ledger, run: Run, users: Iterable[tuple[str, str, str]]) -> Iterator[PersonPaths]:
    """Yield the paths of these users, each as (system, account, user id); see :func:`person_paths`."""
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for system, account, user in users:
        people[product(system), account].add(user)
    complete = complete_systems(ledger, run)
    for place, found in sorted(people.items()):
        if systems := complete.get(place):
            yield from _in_account(ledger, run, place[1], systems, found)


def _in_account(ledger: Ledger, run: Run, account: str, systems: list[str], people: set[str]) -> Iterator[PersonPaths]:
    around = Surroundings(ledger, run, account, systems, people)
    ways = {person: list(around.paths(person)) for person in sorted(people)}
    ids = {grant.grant_id for grants in around.own.values() for grant in grants}
    ids |= {way.grant.grant_id for found in ways.values() for way in found}
    fates = {ident: fate_of(*standing) for ident, standing in ledger.plans.standing(run.run_id, sorted(ids)).items()}
    going = frozenset(ident for ident, fate in fates.items() if fate.kind != STAYS)
    after = around
    if going:
        _, elsewhere = ended_elsewhere(ledger, run, going)
        after = Surroundings(ledger, run, account, systems, people, going | elsewhere)
    for person, before in ways.items():
        marked = _marked(person, before, around, after, fates)
        marked.sort(key=lambda one: (one.fate.kind != STAYS, len(one.path.through), one.path.describe()))
        nodes = around.nodes[person]
        every = (one for grants in around.own.values() for one in grants)
        mine = [one for one in every if (str(one.key.principal_type), one.key.principal_id) in nodes]
        own = frozenset(one.grant_id for one in mine)
        name = next((one.principal_name for one in mine if one.principal_name), "")
        yield PersonPaths(person, systems, account, marked, own, name)


def _marked(
    person: str, before: Iterable[AccessPath], around: Surroundings, after: Surroundings, fates: Mapping[str, Fate]
) -> list[MarkedPath]:
    """Return the paths with what becomes of each.

    A path that stays is one of what remains without everything that goes. So a path that a second membership keeps open
    is never shown as one that goes only.
    """
    found = {}
    for way in after.paths(person) if after is not around else ():
        found[way.through, way.grant.grant_id] = MarkedPath(way, fates.get(way.grant.grant_id, _STAYS))
    for way in before:
        place = (way.through, way.grant.grant_id)
        if place not in found:
            found[place] = _cut(way, person, around, after, fates)
    return list(found.values())


def _cut(
    way: AccessPath, person: str, around: Surroundings, after: Surroundings, fates: Mapping[str, Fate]
) -> MarkedPath:
    fate = fates.get(way.grant.grant_id, _STAYS)
    if fate.kind != STAYS:
        return MarkedPath(way, fate, len(way.through))
    if way.through and way.through[0][0] != PrincipalType.EVERYONE:
        nodes = [node for node in after.nodes[person] if way.through[0] in around.outward.get(node, ())]
        if not any(way.through[0] in after.outward.get(node, ()) for node in nodes):
            return MarkedPath(way, _ended(nodes, way.through[0], around, fates), 0)
    return MarkedPath(way, fate)


def _ended(nodes: Iterable[Node], container: Node, around: Surroundings, fates: Mapping[str, Fate]) -> Fate:
    """Return the fate of a membership that ends: it is gone only when every record of it is."""
    records: list[Grant] = [one for node in nodes for one in around.records.get((node, container), ())]
    kinds = [fates[one.grant_id] for one in records if one.grant_id in fates]
    open_ones = [fate for fate in kinds if fate.kind != GONE]
    found = next(iter(open_ones or kinds), Fate(GOES, "goes with another record"))
    return Fate(found.kind, f"membership {found.words}")


def paths_text(found: PersonPaths) -> Iterator[str]:
    """Yield the paths of one person as lines of text."""
    yield f"paths of {printable(found.title)}: {len(found.ways)}"
    for way in found.ways:
        yield f"  [{way.fate.words}] {printable(way.path.describe())}"
