"""The generated organization: the same for the same seed, with everything a review has to cope with."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import replace

import pytest

from emulator.app import App, Settings
from emulator.build.sizes import PRESETS, Sizes, scaled
from emulator.clock import ManualClock
from emulator.snapshot import snapshot
from emulator.world import SYSTEMS
from tests.support.emulator_client import Clients


@pytest.fixture(scope="module")
def demo() -> App:
    """The demo organization; not changed by the tests here."""
    return App(Settings(sizes=PRESETS["demo"]), ManualClock())


def test_same_seed_same_organization(demo: App) -> None:
    """Another one with the same seed is equal to the row; another seed is not."""
    again = App(Settings(sizes=PRESETS["demo"]), ManualClock())
    other = App(Settings(sizes=PRESETS["demo"], seed=2), ManualClock())
    for system in SYSTEMS:
        rows = list(demo.world.truth(system))
        assert rows == list(again.world.truth(system))
        assert rows != list(other.world.truth(system))


@pytest.mark.parametrize(
    "script",
    [
        "[\u4e00-\u9fff]{2,3}",  # Chinese: no blank between the family and the given name
        "[\u4e00-\u9fff\U00020000-\U0002ffff]+ [\u3040-\u30ff\u4e00-\u9fff]+",  # Japanese
        "[\uac00-\ud7a3]{3}",  # Korean
        "(Nguyễn|Trần) .+",
        "[A-Z][a-z]+ O'Neill",
        ".*[\U00020000-\U0002ffff].*",  # outside the Basic Multilingual Plane
        "[A-Z][a-z]+ [A-Z][a-z]+",
    ],
)
def test_people_write_their_names_in_their_own_script(demo: App, script: str) -> None:
    people = [person for person in demo.world.people if re.fullmatch(script, person.name)]
    assert people
    for person in people:
        assert person.email.isascii() and person.person_id.isascii()
        assert unicodedata.is_normalized("NFC", person.name)


def test_demo_has_the_sizes_it_promises(demo: App) -> None:
    """Grants in all, and what leavers and expiry would take."""
    counts = demo.world.counts()
    assert counts == {
        "wedata_privileges": 1000,
        "wedata_data_sources": 230,
        "dms_permissions": 420,
        "quickbi_menus": 1150,
    }
    leavers = [person for person in demo.world.people if person.left and not person.protected]
    now = demo.world.today
    wedata, dms = {p.wedata_user_id for p in leavers}, {p.dms_user_id for p in leavers}
    quickbi = {p.quickbi_user_id for p in leavers}
    truth = {system: list(demo.world.truth(system)) for system in SYSTEMS}
    assert 250 <= sum(row["subject_value"] in wedata for row in truth["wedata_privileges"]) <= 400
    assert 60 <= sum(row["user_id"] in wedata for row in truth["wedata_data_sources"]) <= 100
    assert 80 <= sum(row["user_id"] in dms or row["expire_date"] < now for row in truth["dms_permissions"]) <= 150
    assert 300 <= sum(row["receiver_id"] in quickbi for row in truth["quickbi_menus"]) <= 700


def test_demo_has_every_kind_of_grant(demo: App) -> None:
    """Subjects, receivers, objects, protected people and the tool's own grants."""
    world = demo.world
    assert {row["subject_type"] for row in world.truth("wedata_privileges")} == {
        "User",
        "Project",
        "Role",
        "GlobalRole",
    }
    assert "AllAccountUsers" in {row["subject_value"] for row in world.truth("wedata_privileges")}
    assert {row["kind"] for row in world.truth("wedata_data_sources")} == {"project", "user"}
    kinds = {row["ds_type"] for row in world.truth("dms_permissions")}
    assert kinds == {"INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE", "COLUMN"}
    assert {row["receiver_type"] for row in world.truth("quickbi_menus")} == {0, 1, 2, 3}
    assert any(not menu.show_only_with_access for portal in world.quickbi.portals.values() for menu in portal.leaves())
    tool = next(person for person in world.people if person.is_tool)
    assert any(row["subject_value"] == tool.wedata_user_id for row in world.truth("wedata_privileges"))
    assert any(row["user_id"] == tool.dms_user_id for row in world.truth("dms_permissions"))
    assert {person.protected for person in world.people} == {"", "break-glass account", "last administrator"}
    left = {person.quickbi_user_id for person in world.people if person.left}
    assert any(left & set(group.members) for group in world.quickbi.groups.values())


def test_demo_has_every_way_in_for_a_leaver(demo: App) -> None:
    """What gives access beside grants: each for at least one person whom the roster calls left."""
    world = demo.world
    dump = snapshot(world)
    leavers = [person for person in world.people if person.left and not person.protected]
    quickbi, dms = {person.quickbi_user_id for person in leavers}, {person.dms_user_id for person in leavers} - {""}
    uins = {person.wedata_uin for person in leavers}
    now = dump["now_ms"]
    active = {row["user_id"] for row in dump["quickbi_users"] if not row["deleted"]} & quickbi
    enabled = {row["user_id"] for row in dump["dms_users"] if row["state"] == "NORMAL"} & dms

    def members(name: str, column: str = "user_id", **where: object) -> set[object]:
        return {row[column] for row in dump[name] if all(row[key] == value for key, value in where.items())}

    nested = {row["group_id"] for row in dump["quickbi_groups"] if row["parent"] != "-1"}
    shared = {row["receiver_id"] for row in dump["quickbi_shares"] if row["expires"] > now}
    assert active & members("quickbi_white_lists", "receiver_id", receiver_type=0)
    assert active & shared and members("quickbi_groups", "group_id") & shared
    assert members("quickbi_shares", "receiver_type") == {0, 1, 2} and len(shared) == 2
    assert active & {row["user_id"] for row in dump["quickbi_group_members"] if row["group_id"] in nested}
    assert active & members("quickbi_portals", "owner") and active & members("quickbi_workspaces", "owner")
    for role in (25, 26, 30):
        assert active & members("quickbi_workspace_members", role_id=role)
    for role in (111111111, 111111112):
        assert active & {row["user_id"] for row in dump["quickbi_users"] if role in row["role_ids"]}
    for kind in ("INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE"):
        assert enabled & members("dms_owners", owner_type=kind), kind
    assert enabled & members("dms_instances", "dba") and enabled & members("dms_proxy_accesses")
    assert dms & members("dms_policy_members")
    for name in ("ADMIN", "DBA", "SECURITY_ADMIN", "STRUCT_READ_ONLY", "data_reader"):
        assert enabled & {row["user_id"] for row in dump["dms_users"] if name in row["roles"]}, name
    assert {row["mode"] for row in dump["dms_instances"]} == {"COMMON", "STABLE", "NONE_CONTROL"}
    assert uins & members("wedata_projects", "owner_uin") and uins & members("wedata_projects", "creator_uin")
    assert uins & members("wedata_project_members", "user_uin")
    assert uins & members("wedata_data_source_sharing", "creator_uin")


def test_ways_in_change_no_grant(demo: App) -> None:
    """People, objects and grants are the same without them, but for one menu record that goes to a group."""
    bare = App(Settings(sizes=replace(PRESETS["demo"], paths=0)), ManualClock())
    assert bare.world.people == demo.world.people
    assert not bare.world.quickbi.shares and not bare.world.dms.proxies
    for system in SYSTEMS:
        rows, others = list(demo.world.truth(system)), list(bare.world.truth(system))
        assert len(rows) == len(others)
        assert sum(row not in others for row in rows) == (1 if system == "quickbi_menus" else 0)


def test_ids_are_text_of_the_vendors_shapes(demo: App, clients: Clients) -> None:
    """Ids are unique in their space and text everywhere in the truth."""
    people = demo.world.people
    for space, length in [("wedata_user_id", 12), ("wedata_uin", 12), ("alibaba_uid", 16), ("quickbi_user_id", 32)]:
        values = [getattr(person, space) for person in people]
        assert len(set(values)) == len(people)
        assert {len(value) for value in values} == {length}
    assert all(len(project) == 19 for project in demo.world.projects)
    for system in SYSTEMS:
        for row in demo.world.truth(system):
            assert all(isinstance(value, str) for name, value in row.items() if name.endswith("_id"))


def test_roster_and_protected(demo: App) -> None:
    """The roster's columns; the protected ids of every space; the tool in the organization's overview."""
    answers = Clients(demo)
    from emulator.gateway.wire import Request

    text = demo.handle(Request("GET", "/_control/roster.csv", "", {}, b"")).body.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        "person_id", "name", "email", "department", "status", "terminated_at", "kind", "manager", "wedata_user_id",
        "alibaba_uid", "dms_user_id", "quickbi_user_id",
    ]  # fmt: skip
    assert len(rows) == len(demo.world.people)
    assert all(bool(row["terminated_at"]) == (row["status"] == "left") for row in rows)
    protected = answers.control("GET", "protected")
    assert len(protected["ids"]["quickbi_user_id"]) == len(protected["people"]) == 3
    org = answers.control("GET", "org")
    assert org["tool"]["name"] == "rescind-bot"
    assert {key["vendor"] for key in org["keys"]} == {"tencent", "alibaba"}


@pytest.mark.parametrize("grants", [500, 20_000])
def test_any_number_of_grants(grants: int) -> None:
    """The large generator comes near the number asked for."""
    app = App(Settings(sizes=scaled(grants)), ManualClock())
    assert 0.9 * grants <= sum(app.world.counts().values()) <= 1.1 * grants + 300


def test_sizes_are_checked() -> None:
    """Unknown names, nonsense and negative numbers are refused."""
    assert Sizes().with_overrides(["people=3", "dms_per_leaver=1.5"]).dms_per_leaver == 1.5
    for word in ("nothing=1", "people=x", "people=-1"):
        with pytest.raises(ValueError):
            Sizes().with_overrides([word])
