"""Random organizations: every way in is there, and the oracle and the emulator's own answers agree on them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.app import App
from emulator.clock import ManualClock
from emulator.keys import Identity
from emulator.modes import CHOICES
from emulator.registry import Call
from emulator.snapshot import snapshot
from tests.support.oracle import Dump, Resource, effective
from tests.support.oracle.organizations import SMALL, organization, organizations, place, planted

REACH = [name for name in CHOICES if name.endswith(("_reach", "_subgroups", "_white_list", "_owner_role"))]
CALLER = Identity("1600000000000001", "1600000000000001", "root", "root", True)
_USERS = {
    "quickbi_menus": "quickbi_user_id",
    "dms_permissions": "dms_user_id",
    "wedata_privileges": "wedata_user_id",
    "wedata_data_sources": "wedata_user_id",
}


def call(app: App, product: str, action: str, **params: Any) -> Any:
    """An answer of the emulator without signatures and envelopes."""
    served = app.gateway.actions[product, action]
    return served.handler(Call(app.world, CALLER, action, params))


def named(kind: str) -> str:
    """The oracle's name of a planted way."""
    return {"owner": "owner", "role": "role"}.get(kind.partition("_")[0], kind) if "_" in kind else kind


@pytest.mark.parametrize("seed", range(1, 5))
def test_each_way_stays_when_the_record_goes(seed: int) -> None:
    """Planted alone: the record and the way are there; after the record is taken away the way is the one that stays."""
    for one in planted(snapshot(organization(seed, plant=False).world), seed):
        app = organization(seed, plant=False)
        where, entitlement = place(one)
        user = one.person[_USERS[one.system]]
        app.gateway.mutations.run(list(one.operations))
        kinds = {path.kind for path in effective(snapshot(app.world), one.system, user, where, entitlement)}
        assert {"direct", named(one.kind)} <= kinds, one
        if one.kind != "direct":
            record = one.operations[0]
            if one.system == "dms_permissions":
                entries = app.world.journal.after(0, kind="effect")
                record = next(entry["grant"] for entry in entries if entry["system"] == one.system)
            app.gateway.mutations.run([{**record, "op": "revoke", "system": one.system}])
            after = {path.kind for path in effective(snapshot(app.world), one.system, user, where, entitlement)}
            assert named(one.kind) in after, one


def test_every_way_is_in_an_organization() -> None:
    """All of them at once."""
    for seed in range(1, 11):
        dump = Dump(snapshot(organization(seed).world))
        found = set()
        for one in planted(snapshot(organization(seed, plant=False).world), seed):
            user, (where, entitlement) = one.person[_USERS[one.system]], place(one)
            found |= {path.kind for path in effective(dump, one.system, user, where, entitlement)}
        assert {named(one.kind) for one in planted(snapshot(organization(seed, plant=False).world), seed)} <= found


def test_the_same_seed_gives_the_same_organization() -> None:
    one, again, other = (snapshot(organization(seed, clock=ManualClock()).world) for seed in (3, 3, 4))
    for dump in (one, again, other):
        del dump["now_ms"], dump["today"]
    assert one == again != other


def test_sizes_can_be_chosen() -> None:
    from dataclasses import replace

    app = organization(1, replace(SMALL, portals=4, people=30))
    assert len(app.world.quickbi.portals) in (4, 5) and len(app.world.people) >= 30


def deny(app: App, rng: random.Random) -> None:
    """A Deny policy on a database or its instance, for the holder of a record there and a custom role."""
    record = rng.choice([one for one in app.world.dms.records.values() if one.target.ds_type == "DATABASE"])
    place = {"instance_id": record.target.instance_id, "db_id": rng.choice([record.target.db_id, 0])}
    role = next(iter(app.world.dms.custom_roles.values()))
    attached = {"policy_id": 9100, "user_id": record.user_id, "role_id": role}
    app.gateway.mutations.run([
        {"op": "dms_policy", "policy_id": 9100, "effect": "Deny", "perm_type": record.perm, **place},
        {"op": "dms_policy_member", **attached}, {"op": "dms_policy_role", **attached},
    ])  # fmt: skip


def worlds() -> Iterator[tuple[App, random.Random]]:
    """Organizations with modes drawn from those that decide who reaches what."""
    for app in organizations(12):
        rng = random.Random(app.settings.seed)
        deny(app, rng)
        for name in REACH:
            app.world.modes.set(name, rng.choice(CHOICES[name]))
        yield app, rng


def test_oracle_and_emulator_agree_on_every_menu() -> None:
    """For everybody and every menu: seen by ListPortalMenus exactly when the oracle knows a way."""
    compared = 0
    for app, _ in worlds():
        dump = Dump(snapshot(app.world))
        for user in app.world.quickbi.users:
            for portal in app.world.quickbi.portals.values():
                text = call(app, "quickbi", "ListPortalMenus", DataPortalId=portal.portal_id, UserId=user)
                for menu in portal.leaves():
                    seen = f'"{menu.menu_id}"' in text
                    ways = effective(dump, "quickbi_menus", user, Resource("menu", menu.menu_id, portal.portal_id), "")
                    assert seen == bool(ways), (app.settings.seed, user, menu.menu_id, ways)
                    compared += 1
    assert compared > 2000


def test_oracle_and_emulator_agree_on_every_instance_and_database() -> None:
    """For everybody: listed with a privilege (or with everything) exactly when the oracle knows a way."""
    compared = 0
    for app, _ in worlds():
        dump, store = Dump(snapshot(app.world)), app.world.dms
        for user in store.users:
            listed = {
                (f"{'logic_' if row['Logic'] else ''}database", row["DbId"], row["PermissionDetail"]["PermType"])
                for row in call(app, "dms", "ListAuthorizedDatabasesForUser", UserId=user, PageSize="100")["Databases"]
            } | {
                ("instance", row["InstanceId"], row["PermissionDetail"]["PermType"])
                for row in call(app, "dms", "ListAuthorizedInstancesForUser", UserId=user, PageSize="100")["Instances"]
            }
            objects = [("instance", str(number)) for number in store.instances]
            objects += [(f"{'logic_' if d.logic else ''}database", str(d.db_id)) for d in store.databases.values()]
            for kind, ident in objects:
                for privilege in ("QUERY", "EXPORT", "CORRECT"):
                    shown = bool({(kind, ident, privilege), (kind, ident, "")} & listed)
                    ways = effective(dump, "dms_permissions", user, Resource(kind, ident), privilege)
                    assert shown == bool(ways), (app.settings.seed, user, kind, ident, privilege, ways)
                    compared += 1
    assert compared > 1000


def test_oracle_and_emulator_agree_on_data_sources() -> None:
    """With the default audience listed: every user entry of a person is a way that the oracle knows."""
    compared = 0
    for app, _ in worlds():
        app.world.modes.set("wedata_default_audience", "listed")
        dump = Dump(snapshot(app.world))
        members = {(row["project_id"], row["user_uin"]) for row in dump.rows("wedata_project_members")}
        if app.world.modes["wedata_owner_role"] == "administrator":
            for project in app.world.projects.values():
                members |= {(project.project_id, project.owner), (project.project_id, project.creator)}
        for source in app.world.data_sources.sources.values():
            data = call(app, "wedata", "DescribeDataSourceAuthority", Id=source.source_id)["Data"]
            for person in app.world.people:
                shown = any(text.endswith(f"_{person.wedata_user_id}") for text in data["AuthUsers"] or [])
                shown |= any((project, person.wedata_uin) in members for project in data["AuthProjectIds"] or [])
                where = Resource("data_source", str(source.source_id))
                ways = effective(dump, "wedata_data_sources", person.wedata_user_id, where, "use")
                assert shown == bool(ways), (app.settings.seed, person.wedata_user_id, source.source_id, ways)
                compared += 1
    assert compared > 500


def test_two_hundred_organizations() -> None:
    """Enough of them in one go, none equal to another."""
    seen = {json.dumps(sorted(app.world.quickbi.portals)) for app in organizations(200, first=1000)}
    assert len(seen) == 200
