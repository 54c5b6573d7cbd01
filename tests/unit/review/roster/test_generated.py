"""Generated rosters against a truth that knows none of the package's code: see :mod:`tests.support.reviews.rosters`.

Each is read right or refused. Nothing goes that the truth would not let go, and no leaver is lost without being named.
"""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta
from types import SimpleNamespace

import pytest

from rescind.errors import InputError
from rescind.model import Choice, Principal
from rescind.review import (
    Decider,
    DecisionContext,
    Policy,
    Roster,
    RosterLimits,
    RosterOptions,
    admit_roster,
    index_principals,
    read_roster_csv,
    read_roster_json,
)
from rescind.review.roster.pages import RosterPages
from rescind.workflow.inputs import roster_options
from tests.conftest import THOROUGH
from tests.support.reviews.rosters import NOW, Export, World, export, world

ROSTERS = 10_000 if THOROUGH else 150
PARTS = 10
pytestmark = pytest.mark.seconds(900 if THOROUGH else 180)
RULES = {
    "leaver": "person.status == 'left' && person.terminated_at <= now",
    "undated": "person.status == 'left' && (!person.has_leaving_date || person.terminated_at <= now)",
    "nobody": "!person.known",
    "unowned": "person.kind == 'service' && person.owner in ['none', 'unlisted']",
}


def read(made: Export) -> Roster:
    options = roster_options(made.options, RosterOptions().max_bad_rows_percent)
    if made.kind == "csv":
        return read_roster_csv(made.content, source="r.csv", options=options)
    if made.kind == "json":
        return read_roster_json(made.content, source="r.json", options=options)
    pages = RosterPages("r", "scim")
    for page in made.content:
        pages.add(page)
        if pages.next is None:
            break
    return read_roster_json(pages.document(), source="r", options=options)


def named(truth: World, made: Export, roster: Roster, decider: Decider, make: SimpleNamespace, ident: str) -> bool:
    """Return whether a leaver whose grants stay is named to people, or leaves within two days."""
    (human,) = (one for one in truth.people if one.ids.get("dms_user_id") == ident)
    view = decider.view(make.grant(ident))
    if view.method in ("conflict", "set_aside", "unconfirmed"):
        return True  # the task that decides names these
    rows = [
        person for person in roster.people if person.line == made.lines[human.number] or person.person_id == human.key
    ]
    if any(abs(row.line - made.lines[human.number]) <= 1 for row in roster.aside.rows):
        return True
    for person in rows:
        if person.held or person.status == "unknown" or "dms_user_id" not in person.ids:
            return True
        later = person.terminated_at is None or NOW < person.terminated_at <= NOW + timedelta(days=2)
        if person.status == "left" and later:
            return True
    return False


def check(seed: int, make: SimpleNamespace, policies: dict[str, Policy]) -> str:
    """Return ``refused`` or ``read`` after all assertions."""
    rng = random.Random(seed)
    truth = world(rng)
    made = export(truth, rng)
    story = f"seed {seed}: {made.kind}, {made.damage}, {made.options}"
    try:
        roster = read(made)
    except InputError as error:
        assert made.damage, f"{story}: {error}"
        return "refused"
    limits = RosterLimits(min_people=1, max_age=timedelta(days=1), max_leaver_percent=100)
    admitted = admit_roster(roster, limits, as_of=NOW, now=NOW)
    principals = [
        Principal("dms_permissions", "1000@cn", "user", one.ids["dms_user_id"],
                  other_ids=(("alibaba_uid", one.ids["alibaba_uid"]),) if "alibaba_uid" in one.ids else ())
        for one in truth.people if "dms_user_id" in one.ids
    ]  # fmt: skip
    base: DecisionContext = make.context(
        policies["leaver"], roster=admitted, now=NOW, principals=index_principals(principals),
        complete=frozenset({"roster"}),
    )  # fmt: skip
    for rule, ids in truth.allowed().items():
        decider = Decider(dataclasses.replace(base, policy=policies[rule]))
        gone = {ident for ident in truth.principals() if decider.decide(make.grant(ident)).choice is Choice.REVOKE}
        assert gone <= ids, f"{story}: rule {rule} takes {gone - ids}"
        if rule == "leaver":
            for ident in ids - gone:
                assert named(truth, made, roster, decider, make, ident), f"{story}: {ident} is lost"
            assert made.damage or gone == ids, story
    return "read"


@pytest.mark.parametrize("part", range(PARTS))
def test_no_generated_roster_takes_more_or_loses_a_leaver(make: SimpleNamespace, part: int) -> None:
    policies = {name: make.policy(make.rule(when, absence=name != "leaver")) for name, when in RULES.items()}
    found = [check(seed, make, policies) for seed in range(part, ROSTERS, PARTS)]
    assert {"read", "refused"} <= set(found)
