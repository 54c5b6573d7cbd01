"""Who is among the receivers of a restore: by roster, by group, by a name on the platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescind.errors import InputError
from rescind.model import Cell, Grant, GrantKey, Membership, Principal
from rescind.settings import Settings
from rescind.workflow.own_access import Receivers
from rescind.workflow.restore.source import RestoreSource

HEADER = "person_id,status,email,wedata_user_id,alibaba_uid,dms_user_id,quickbi_user_id,wedata_uin,airflow_user\n"
ROSTER = (
    "P1,active,ada@example.com,7001,2001,51001,a01,9001,Rita; 17\n"
    "P2,active,bo@example.com,7002,2002,51002,a02,9002,\n"
    "P3,active,chi@example.com,,,,,9003,omar\n"
)


def grant(principal: str, kind: str = "user", system: str = "quickbi_menus", resource: str = "m1") -> Grant:
    key = GrantKey(system, "1000", "menu", resource, kind, principal, "view", "")
    return Grant(key, Cell("c", resource, kind, (principal,)))


def receivers(
    tmp_path: Path,
    *grants: Grant,
    principals: tuple[Principal, ...] = (),
    memberships: tuple[Membership, ...] = (),
    roster: str = ROSTER,
) -> Receivers:
    (tmp_path / "roster.csv").write_text(HEADER + roster, encoding="utf-8")
    settings = Settings(roster=str(tmp_path / "roster.csv") if roster else "")
    source = RestoreSource(
        run=None,  # type: ignore[arg-type] - nothing here reads it
        grants={one.grant_id: one for one in grants},
        inverses={},
        principals=principals,
        memberships=memberships,
    )
    return Receivers(source, settings)


@pytest.mark.parametrize("user", ["rita", "RITA ", "17", "ada@example.com", "p1"])
def test_a_user_of_the_roster_gets_what_any_account_of_the_person_gets(tmp_path: Path, user: str) -> None:
    mine = [grant("a01"), grant("51001", system="dms_permissions"), grant("7001", system="wedata_privileges")]
    found = receivers(tmp_path, *mine, grant("a02"), grant("51002", system="dms_permissions"))
    assert [one.person_id for one in found.people(user)] == ["P1"]
    assert sorted(found.own(user), key=lambda one: one.key) == sorted(mine, key=lambda one: one.key)
    with pytest.raises(InputError, match=r"approver: .* would get 3 of the grants .* nobody restores their own access"):
        found.refuse_own("approver", "", user)


def test_an_id_of_another_space_or_kind_is_not_the_person(tmp_path: Path) -> None:
    found = receivers(tmp_path, grant("51001"), grant("a01", kind="group"), grant("7001", system="dms_permissions"))
    assert found.own("rita") == []
    found.refuse_own("requester", "rita", "17")


def test_an_account_that_only_the_platform_links_to_the_person_counts(tmp_path: Path) -> None:
    account = Principal("quickbi_menus", "1000", "user", "zz", other_ids=(("alibaba_uid", "2001"),))
    found = receivers(tmp_path, grant("zz"), principals=(account,))
    assert len(found.own("rita")) == 1 and found.own("bo@example.com") == []


@pytest.mark.parametrize("kind", ["group", "role", "project", "workspace", "platform_role"])
def test_a_member_gets_what_the_group_gets(tmp_path: Path, kind: str) -> None:
    edges = (
        Membership("quickbi_menus", "1000", "user", "a01", "group", "inner"),
        Membership("quickbi_menus", "1000", "group", "inner", kind, "outer"),
    )
    found = receivers(tmp_path, grant("outer", kind=kind), memberships=edges)
    assert len(found.own("rita")) == 1 and found.own("bo@example.com") == []


def test_members_that_a_platform_lists_under_another_id_are_found(tmp_path: Path) -> None:
    edges = (Membership("wedata_privileges", "1000", "user", "9003", "project", "p9"),)
    found = receivers(tmp_path, grant("p9", kind="project", system="wedata_privileges"), memberships=edges)
    assert len(found.own("omar")) == 1 and found.own("rita") == []


@pytest.mark.parametrize("kind", ["everyone", "organization"])
def test_what_everybody_gets_is_nobodys_own(tmp_path: Path, kind: str) -> None:
    edges = (Membership("quickbi_menus", "1000", "user", "a01", kind, "all"),)
    assert receivers(tmp_path, grant("all", kind=kind), memberships=edges).own("rita") == []


def test_without_a_roster_the_names_of_the_platform_count(tmp_path: Path) -> None:
    named = Principal("quickbi_menus", "1000", "user", "zz", name="Rita")
    found = receivers(tmp_path, grant("zz"), grant("omar"), grant("17"), principals=(named,), roster="")
    assert found.people("rita") == []
    assert [one.key.principal_id for one in found.own("rita")] == ["zz"]
    assert [one.key.principal_id for one in found.own("omar")] == ["omar"]
    assert found.own("17") == []  # a number is an id, which another system may have too


def test_a_column_with_a_name_that_imitates_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"roster.csv, line 2, column airflow_user: the user name .* mixes the scripts"
    ):
        receivers(tmp_path, grant("a01"), roster=ROSTER.replace("Rita", "Rit\u0430"))


def test_a_roster_is_read_as_the_settings_say_with_the_ids_of_the_map(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("Nr,State,email\nP1,On,ada@example.com\nP2,On,bo@example.com\n")
    (tmp_path / "ids.csv").write_text("email,quickbi_user_id\nada@example.com,a01\n")
    form = {"columns": {"person_id": "Nr", "status": "State"}, "values": {"status": {"On": "active"}}, "id_columns": {}}
    settings = Settings.parse(
        {"roster": str(tmp_path / "people.csv"), "roster_id_map": str(tmp_path / "ids.csv"), "roster_format": form},
        connections={},
    )
    one = grant("a01")
    source = RestoreSource(run=None, grants={one.grant_id: one}, inverses={}, principals=(), memberships=())  # type: ignore[arg-type]
    found = Receivers(source, settings)
    assert found.own("ada@example.com") == [one] and found.own("bo@example.com") == []


def test_ids_in_rows_that_cannot_be_read_are_the_persons_too(tmp_path: Path) -> None:
    others = "".join(f"P{n},active,p{n}@example.com,,,,,,\n" for n in range(10, 40))
    bad = "P1,active,,#N/A,,,a09,,\nP5,active,eve@example.com,#N/A,,,a05,,\n"
    found = receivers(tmp_path, grant("a09"), grant("a05"), grant("a02"), roster=ROSTER + others + bad)
    assert [one.key.principal_id for one in found.own("rita")] == ["a09"]
    assert [one.key.principal_id for one in found.own("eve@example.com")] == ["a05"]
    assert [one.key.principal_id for one in found.own("bo@example.com")] == ["a02"]
