"""Quick BI's authorizations of works: levels, ends, what one removal takes, refusals, modes and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.authorizations import PERMANENT, SYSTEM, day_starts
from emulator.store.quickbi import Work
from emulator.store.receivers import Receiver
from tests.support.emulator_client import Clients

DAY = 86_400_000
FAR = "2099-01-01"


@pytest.fixture
def work(app: App) -> Work:
    """A dashboard without authorizations and shares."""
    app.world.quickbi.authorizations.clear()
    app.world.quickbi.shares.clear()
    return next(iter(app.world.quickbi.works.values()))


@pytest.fixture
def user(app: App) -> str:
    """An active member in no group and workspace."""
    store = app.world.quickbi
    found = next(one for one in store.users.values() if not one.deleted and one.roles == [111111113])
    for place in (*store.groups.values(), *store.workspaces.values()):
        place.members.pop(found.user_id, None)
    return found.user_id


def add(clients: Clients, work: Work, kind: int, ident: str, points: int = 3, **more: Any) -> dict[str, Any]:
    given = {"ResourceId": work.works_id, "ResourceType": "dashboard", "AuthorizeScope": kind, "AuthorizedId": ident,
             "AuthPoints": points, "ExpireDay": FAR, **more}  # fmt: skip
    return clients.quickbi("AddWorksAuthorization", **given)


def delete(clients: Clients, work: Work, user: str, **more: Any) -> dict[str, Any]:
    given = {"QbiUserId": user, "ResourceId": work.works_id, "ResourceType": "dashboard", **more}
    return clients.quickbi("DeleteAuthorizationByUserId", **given)


def listed(clients: Clients, work: Work, kind: int = 0, **more: Any) -> list[tuple[int, str, int]]:
    """Scope, receiver and number of authorities."""
    given = {"ResourceId": work.works_id, "WorksType": "dashboard", "ShareToType": kind, "HasAuth": "true", **more}
    rows = clients.quickbi("ListAuthConfigByResource", **given)["Result"]
    return [(row["Scope"], row["AuthorizedId"], len(row["Authorities"])) for row in rows]


def readable(clients: Clients, work: Work, user: str) -> bool:
    return bool(clients.quickbi("CheckReadable", UserId=user, WorksId=work.works_id)["Result"])


def test_levels_and_receivers_are_listed_and_open_the_work(app: App, clients: Clients, work: Work, user: str) -> None:
    """A user's record opens the work while it is there; organization and workspaces are among the users' records."""
    for points, rights in ((1, 1), (3, 2), (11, 3)):
        assert add(clients, work, 0, user, points)["Result"].startswith("auth-")
        assert listed(clients, work) == [(0, user, rights)] and readable(clients, work, user)
    assert delete(clients, work, user)["Result"] is True
    assert listed(clients, work) == [] and not readable(clients, work, user)
    group, space = next(iter(app.world.quickbi.groups)), next(iter(app.world.quickbi.workspaces))
    for kind, ident in ((1, group), (2, app.world.quickbi.organization_id), (3, space)):
        add(clients, work, kind, ident, 1)
    assert [kind for kind, _, _ in listed(clients, work)] == [2, 3] and listed(clients, work, 1) == [(1, group, 1)]
    assert readable(clients, work, user)
    assert listed(clients, work, Keyword="no such name") == []
    ops = [(entry["op"], entry["grant"]["auth_points"]) for entry in clients.effects(SYSTEM)]
    assert ops[:6] == [("added", 1), ("removed", 1), ("added", 3), ("removed", 3), ("added", 11), ("removed", 11)]
    assert clients.effects(SYSTEM)[-1]["grant"] in clients.control("GET", "world")[SYSTEM]


def test_one_removal_takes_every_record_of_the_user(app: App, clients: Clients, work: Work, user: str) -> None:
    """All records of one user on one work, of nobody else and nowhere else; shares go by mode only."""
    other = next(one for one in app.world.quickbi.users if one != user)
    elsewhere = list(app.world.quickbi.works.values())[-1]
    app.world.modes.set("quickbi_authorize_again", "second")
    for where, who in ((work, user), (work, user), (work, other), (elsewhere, user)):
        add(clients, where, 0, who)
    shared = {"WorksId": work.works_id, "ShareToType": 0, "ShareToId": user, "AuthPoint": 1, "ExpireDate": PERMANENT}
    clients.quickbi("AddShareReport", **shared)
    assert len(listed(clients, work)) == 3
    delete(clients, work, user)
    assert listed(clients, work) == [(0, other, 2)] and listed(clients, elsewhere) == [(0, user, 2)]
    assert readable(clients, work, user), "the share"
    app.world.modes.set("quickbi_delete_shares", "removed")
    delete(clients, work, user)
    assert not readable(clients, work, user)


@pytest.mark.parametrize("through", ["group", "workspace"])
def test_a_record_that_reaches_the_user_otherwise_refuses(
    app: App, clients: Clients, work: Work, user: str, through: str
) -> None:
    """With or without an own record; read otherwise, only without one."""
    store = app.world.quickbi
    places: dict[str, Any] = {"group": store.groups, "workspace": store.workspaces}
    ident, place = next(iter(places[through].items()))
    store.join(place, user, 30 if through == "workspace" else None)
    add(clients, work, {"group": 1, "workspace": 3}[through], ident)
    code = {"group": "DeletePermission.UserBelongsToUsergroup.Error",
            "workspace": "DeletePermission.ExistWorkspaceRecord.Error"}[through]  # fmt: skip
    assert delete(clients, work, user)["Code"] == code
    add(clients, work, 0, user)
    assert delete(clients, work, user)["Code"] == code and (0, user, 2) in listed(clients, work)
    app.world.modes.set("quickbi_delete_inherited", "own_record")
    assert delete(clients, work, user)["Result"] is True and (0, user, 2) not in listed(clients, work)
    assert delete(clients, work, user)["Code"] == code


def test_ends(app: App, clients: Clients, work: Work, user: str) -> None:
    """An ExpireDay is a midnight in China; edit has no end; what has run out opens nothing and is not listed."""
    tomorrow = clients.now * 1000 + DAY
    day = clients.control("GET", "world")["today"][:10]
    assert add(clients, work, 0, user, ExpireDay=day)["Code"] == "Invalid.Parameter.Error"
    for wrong in ("", "soon", "2099-13-01"):
        assert add(clients, work, 0, user, ExpireDay=wrong)["Code"] == "Invalid.Parameter.Error"

    def end() -> Any:
        rows = clients.quickbi("ListAuthConfigByResource", ResourceId=work.works_id, WorksType="dashboard",
                               ShareToType=0, HasAuth="true")["Result"]  # fmt: skip
        return rows[0]["ExpireDate"]

    add(clients, work, 0, user)
    assert end() == str(day_starts(FAR)) == "4070880000000"
    app.world.modes.set("quickbi_expire_day", "end")
    add(clients, work, 0, user)
    assert end() == str(day_starts(FAR) + DAY)
    add(clients, work, 0, user, 11, ExpireDay="")
    for mode, shown in (("far", str(PERMANENT)), ("null", None), ("empty", "")):
        app.world.modes.set("quickbi_permanent_end", mode)
        assert end() == shown
    mine = {"resource_id": work.works_id, "receiver_type": 0, "receiver_id": user, "expires": tomorrow}
    clients.control("POST", "mutate", {"actor": "somebody", "ops": [{"op": "work_authorization", **mine}]})
    assert readable(clients, work, user)
    clients.control("POST", "clock", {"advance": 2 * DAY // 1000})
    assert not readable(clients, work, user) and listed(clients, work) == []
    assert listed(clients, work, HasAuth="false") == [(0, user, 2)]
    app.world.modes.set("quickbi_expired_authorizations", "listed")
    assert listed(clients, work) == [(0, user, 2)]


def test_refusals(app: App, clients: Clients, work: Work, user: str) -> None:
    """Unknown resources, receivers and levels have their codes, and nothing happens."""
    portal = next(iter(app.world.quickbi.portals))
    for kind, ident, code in (
        ("dashboard", portal, "Report.NotExist.Error"), ("dashboard", "no", "Report.NotExist.Error"),
        ("screen", work.works_id, "Report.NotExist.Error"), ("cube", "no", "Cube.Not.Exist"),
        ("datasource", "no", "Datasource.NotFound.Error"), ("dataProduct", portal, "Invalid.Parameter.Error"),
    ):  # fmt: skip
        place = {"ResourceType": kind, "ResourceId": ident}
        assert add(clients, work, 0, user, **place)["Code"] == code
        assert delete(clients, work, user, **place)["Code"] == code
        asked = {"ResourceId": ident, "WorksType": kind, "ShareToType": 0, "HasAuth": "true"}
        assert clients.quickbi("ListAuthConfigByResource", **asked)["Code"] == code
    for scope, receiver, points in ((0, "no", 3), (1, user, 3), (3, "no", 3), (4, user, 3), (0, user, 10)):
        assert add(clients, work, scope, receiver, points)["Code"] == "Invalid.Parameter.Error"
    assert delete(clients, work, "no")["Code"] == "Invalid.User.Organization"
    assert delete(clients, work, user)["Result"] is True, "an absent record"
    app.world.modes.set("quickbi_absent_authorization", "refused")
    assert delete(clients, work, user)["Code"] == "Invalid.Parameter.Error"
    powerless = ("LTAIDEMO00000000000004", "alibaba-demo-secret-4")
    given = {"QbiUserId": user, "ResourceId": work.works_id, "ResourceType": "dashboard"}
    answer = clients.alibaba_raw("quickbi", "DeleteAuthorizationByUserId", given, key=powerless)
    assert json.loads(answer.body)["Code"] == "Access.Forbidden"
    assert clients.effects() == []


def test_lists_may_be_late_and_writes_pretended(app: App, clients: Clients, work: Work, user: str) -> None:
    """What went stays listed for one read, what is new stays hidden; a pretended write changes nothing."""
    for write, states in ((add, (False, True)), (delete, (True, False))):
        name = {add: "AddWorksAuthorization", delete: "DeleteAuthorizationByUserId"}[write]  # type: ignore[index]
        clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": name})
        assert (add(clients, work, 0, user) if write is add else delete(clients, work, user))["Result"]
        assert tuple(bool(listed(clients, work)) for _ in range(2)) == states
    add(clients, work, 0, user)
    before = clients.control("GET", "world")[SYSTEM]
    for name in ("AddWorksAuthorization", "DeleteAuthorizationByUserId"):
        clients.control("POST", "faults", {"kind": "pretend", "action": name})
    assert isinstance(add(clients, work, 0, user, 11)["Result"], str) and delete(clients, work, user)["Result"] is True
    assert clients.control("GET", "world")[SYSTEM] == before != []


def test_who_leaves_takes_the_records_along(app: App, clients: Clients, work: Work, user: str) -> None:
    """DeleteUser and DeleteUserGroup withdraw them, each with an effect."""
    add(clients, work, 0, user)
    parents = {one.parent for one in app.world.quickbi.groups.values()}
    group = next(one for one in app.world.quickbi.groups if one not in parents)
    add(clients, work, 1, group)
    assert clients.quickbi("DeleteUser", UserId=user)["Result"] is True
    assert clients.quickbi("DeleteUserGroup", UserGroupId=group)["Result"] is True
    gone = [entry["grant"]["receiver_id"] for entry in clients.effects(SYSTEM) if entry["op"] == "removed"]
    assert gone == [user, group] and Receiver(0, user) not in {one.receiver for one in app.world.quickbi.authorizations}
