"""Closing paths in many generated organizations, each as small as every way in allows.

Half of them take single records from planted people, the others everything from a leaver. The cost of each proposal
is the optimum: where few removals matter, every set of them is tried. ``RESCIND_CLOSING_WORLDS`` is how many
organizations are made (200); the emulator runs in this process, so that each takes about four seconds of one core.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from rescind.plan.access_graph import AccessGraph, Closing
from rescind.workflow.closing import close_paths
from tests.integration.closing.test_closing_leavers import left
from tests.integration.closing.test_closing_worlds import closed
from tests.support.reviews.closing_graph import cheapest_of, useful
from tests.support.reviews.review import ReviewBench

Bench = Callable[..., ReviewBench]
WORLDS = int(os.environ.get("RESCIND_CLOSING_WORLDS", "200"))
TRIED = 10
"""With so many removals every set is tried; with more, the certificate that each run checks has to do."""


def sizes_of(seed: int) -> list[str]:
    """Sizes by seed: as small as every way in allows, so that many organizations are judged in little time.

    A leaver (odd seeds) needs more projects: one of them has to be neither owned nor created by the leaver.
    """
    rng = random.Random(f"{seed}/small")
    sizes = {
        "people": 4 + rng.randrange(3), "leavers": 1, "services": 1, "departments": 1 + rng.randrange(2),
        "dms_users": 6 + rng.randrange(3), "dms_leavers": 1, "catalogs": 1, "schemas_per_catalog": 1 + rng.randrange(2),
        "tables_per_schema": 1 + rng.randrange(2), "privileges": 20, "projects": 2 + 2 * (seed % 2), "data_sources": 3,
        "source_grants": 8, "instances": 1 + rng.randrange(2), "databases_per_instance": 1 + rng.randrange(2),
        "tables_per_database": 1, "dms_records": 12, "dms_expired": 2, "portals": 1 + rng.randrange(2),
        "menus_per_portal": 3 + rng.randrange(3), "groups": 3 + rng.randrange(2), "workspaces": 1 + rng.randrange(2),
        "menu_pairs": 20,
    }  # fmt: skip
    return [word for name, value in sizes.items() for word in ("--size", f"{name}={value}")]


@pytest.fixture
def proposals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[AccessGraph, Closing]]:
    """Every proposal that is computed, with the graph that it closes."""
    found: list[tuple[AccessGraph, Closing]] = []
    check = close_paths.check_closing

    def noted(graph: AccessGraph, closing: Closing) -> None:
        found.append((graph, closing))
        check(graph, closing)

    monkeypatch.setattr(close_paths, "check_closing", noted)
    return found


def tried(proposals: list[tuple[AccessGraph, Closing]]) -> int:
    """Compare costs with the optimum; returns how many could be tried."""
    small = [(graph, closing) for graph, closing in proposals if graph.demands and len(useful(graph)) <= TRIED]
    for graph, closing in small:
        assert (closing.cost, set(closing.open)) == cheapest_of(graph)
    return len(small)


@pytest.mark.seconds(300)
@pytest.mark.parametrize("seed", [2, 3])
def test_a_small_organization_is_closed_at_the_least_cost(
    bench: Bench, proposals: list[tuple[AccessGraph, Closing]], seed: int
) -> None:
    world(bench, proposals, seed)


@pytest.mark.long
@pytest.mark.seconds(600)
@pytest.mark.parametrize("seed", range(4, WORLDS + 2))
def test_many_organizations_are_closed_at_the_least_cost(
    bench: Bench, proposals: list[tuple[AccessGraph, Closing]], seed: int
) -> None:
    world(bench, proposals, seed)


def world(bench: Bench, proposals: list[tuple[AccessGraph, Closing]], seed: int) -> None:
    """One organization, with a line of figures."""
    if seed % 2:
        had = left(bench, seed, *sizes_of(seed), back=seed % 10 == 1)
        said = f"a leaver with {len(had)} ways of {len({one.system for one in had})} systems is at zero"
        assert len(had) >= 10
    else:
        removals, cost, stays = closed(bench, seed, *sizes_of(seed))
        said = f"{removals} removals, cost {cost}, {stays} grants stay reachable"
        assert stays >= 5
    print(f"world {seed}: {said}; {tried(proposals)} of {len(proposals)} proposals tried out")
