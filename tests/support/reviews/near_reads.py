"""Reads of a part of the population, compared with a pass over all of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from rescind.ledger import Ledger, Run, Scope
from rescind.model import Choice, Grant
from rescind.systems import system_named
from rescind.systems.effective import Near, access_around
from rescind.workflow.same_people import same_people

_LISTINGS = 25


def assert_near_is_enough(ledger: Ledger, run: Run) -> int:
    """Every planned grant has the same paths, by what is near and by all grants, and so has each listing its grants.

    :returns: the number of paths.
    """
    planned = {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}
    return sum(_same_paths(ledger, run, scope, planned) for scope in ledger.scopes.all(run.run_id))


def _same_paths(ledger: Ledger, run: Run, scope: Scope, planned: set[str]) -> int:
    system, place = system_named(scope.system), (scope.system, scope.account)
    everything = list(ledger.snapshot.grants(run.run_id, system=scope.system, account=scope.account))
    going = [grant for grant in everything if grant.grant_id in planned]
    people = same_people(ledger, run, *place)
    read = list[Grant]()

    def near(around: Near) -> Iterator[Grant]:
        read.extend(ledger.snapshot.grants_on(run.run_id, *place, *around))
        return iter(read)

    def edges() -> Iterator[object]:
        return ledger.snapshot.memberships(run.run_id, *place)

    whole = access_around(system, going, everything, edges(), people)  # type: ignore[arg-type]
    part = access_around(system, going, near, edges(), people)  # type: ignore[arg-type]
    assert len(read) < len(everything)
    found = 0
    for grant in going:
        assert part.paths(grant) == whole.paths(grant)
        assert part.untraceable(grant) == whole.untraceable(grant)
        found += len(whole.paths(grant))
    _same_listings(ledger, run, scope)
    return found


def _same_listings(ledger: Ledger, run: Run, scope: Scope) -> None:
    system, place = system_named(scope.system), {"system": scope.system, "account": scope.account}
    shown: dict[tuple[str, ...], set[str]] = {}
    for grant, _ in ledger.decisions.each(run.run_id, choice=Choice.KEEP, **place):
        for listing in (system.listing_scope(grant), system.principal_listing_scope(grant)):
            if listing is not None:
                shown.setdefault(listing, set()).add(grant.grant_id)
    for listing in islice(sorted(shown), _LISTINGS):
        values = system.listed_by({listing})
        if values is not None:
            found = [one.grant_id for one in ledger.decisions.retained(run.run_id, values, **place)]
            assert found == sorted(found) and shown[listing] <= set(found), listing
