"""Whole reviews over generated organizations with every way in, judged by the independent oracle.

A claim that access is gone, for somebody who still reaches the same thing, fails; so does a way in that is not there.
``report()`` of every review asks the oracle; here each way in is planted, and seeded faults show that the oracle sees.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.systems import REGISTRY
from rescind.systems.effective import RemainingAccess
from rescind.systems.quickbi import menus
from rescind.systems.surfaces import PlatformAnswer
from rescind.systems.wedata import data_sources, privileges, projects
from tests.support.oracle.organizations import planted
from tests.support.reviews.review import ReviewBench
from tests.support.reviews.verdicts import items_of

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def reviewed(bench: Bench, seed: int, *, linked: bool = True, targeted: bool = False) -> Counter[str]:
    """Plant every way in, take away everything that the planted people hold, and count the verdicts.

    :param linked: whether the roster has the ids under which WeData lists members.
    :param targeted: list only the named people, where a system can.
    """
    options = ("--preset", "tiny", "--seed", str(seed))
    setup = bench(*options, record_gone_fails=[], max_percent=100, max_revocations=5000)
    ways = planted(setup.emulator.get("world"), seed)
    for way in ways:
        setup.emulator.post("mutate", {"actor": "somebody", "ops": list(way.operations)})
    if linked:
        with_member_ids(setup)
    if targeted:
        setup.list_people_from_now()
    people = sorted({str(way.person["person_id"]) for way in ways})
    review = setup.run(
        f"manual__{seed}",
        kind="targets",
        principals=people,
        reason="every way in",
        dry_run=False,
        max_percent=100,
        max_revocations=5000,
    )
    review.whole()
    assert any("named people only" in scope["label"] for scope in review.scopes) == targeted
    assert any("known access only" in scope["label"] for scope in review.scopes) == targeted
    return Counter(row["verdict"] for row in items_of(review))


def with_member_ids(setup: ReviewBench) -> None:
    """Add to the roster the ids under which WeData lists members."""
    path = Path(setup.settings["roster"])
    uins = {one["person_id"]: one["wedata_uin"] for one in setup.emulator.get("org")["people"]}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{**row, "wedata_uin": uins[row["person_id"]]} for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_verdict_is_false_while_every_way_in_is_there(bench: Bench, seed: int, targeted: bool) -> None:
    verdicts = reviewed(bench, seed, targeted=targeted)
    assert verdicts["still_effective"] >= 20, "the planted ways stay"
    assert verdicts["verified_gone"] >= 5, "and where none is left, it is proven"


@pytest.mark.long
@pytest.mark.seconds(600)
@pytest.mark.parametrize("seed", range(3, 201))
def test_no_verdict_is_false_in_many_organizations(bench: Bench, seed: int) -> None:
    assert reviewed(bench, seed)["still_effective"] >= 20


async def _no_answer(*_: Any) -> PlatformAnswer:
    return PlatformAnswer()


async def _no_receivers(*_: Any) -> list[Any]:
    return []


def _drop(module: Any, name: str, instead: Any, *, own_answer: bool = False) -> Callable[[pytest.MonkeyPatch], None]:
    def seed(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, name, instead)
        if own_answer:  # the platform's own answer alone would still show the way
            patch.setattr(menus, "what_users_see", _no_answer)

    return seed


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "white lists and shares": _drop(menus, "portal_receivers", _no_receivers, own_answer=True),
    "what is above a resource": _drop(type(REGISTRY["quickbi_menus"]), "parents", lambda *_: (), own_answer=True),
    "default audience": _drop(data_sources, "_default_audience", lambda *_: ()),
    "people without member ids": _drop(RemainingAccess, "untraceable", lambda *_: {}),
    "members of projects": _drop(projects, "_edges", lambda *_: ()),
    "parents of tables": _drop(privileges.WeDataPrivileges, "parents", lambda *_: ()),
    "all paths": _drop(RemainingAccess, "paths", lambda *_: []),
    "other levels": _drop(
        type(REGISTRY["quickbi_menus"]), "includes", lambda _, held, asked: held == asked, own_answer=True
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_way_in_that_is_not_looked_for_is_found_out(bench: Bench, monkeypatch: Any, fault: str) -> None:
    FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError, match="false gone"):
        for seed in range(1, 5):
            reviewed(bench, seed, linked=fault != "people without member ids")
