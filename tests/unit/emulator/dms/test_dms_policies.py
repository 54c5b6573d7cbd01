"""DMS's ABAC authorizations: ids, sources, Deny policies, late lists, refusals, modes and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.dms import Database, DmsUser
from tests.support.emulator_client import Clients, mutate
from tests.support.emulator_dms import messages

NUMBER = 9100


def policy(clients: Clients, database: Database, number: int = NUMBER, **more: Any) -> int:
    """A new policy on the database."""
    place = {"instance_id": str(database.instance_id), "db_id": str(database.db_id), "perm_type": "QUERY"}
    assert mutate(clients, op="dms_policy", policy_id=number, **place, **more)
    return number


def attach(clients: Clients, user: DmsUser, number: int = NUMBER) -> dict[str, Any]:
    return clients.dms("CreateAbacAuthorization", PolicyId=number, IdentityType="USER", UserId=user.user_id)


def detach(clients: Clients, authorization: int, kind: str = "USER") -> dict[str, Any]:
    return clients.dms("DeleteAbacAuthorization", AuthorizationId=authorization, IdentityType=kind)


def listed(clients: Clients, number: int = NUMBER, **more: Any) -> list[int]:
    """Authorization ids of a policy."""
    answer = clients.dms("ListAbacAuthorizations", PolicyId=str(number), PageSize=100, **more)
    assert answer["TotalCount"] == len(answer["AuthorizationList"])
    return [row["AuthorizationId"] for row in answer["AuthorizationList"]]


def test_an_attached_policy_reaches_and_gets_a_new_id_each_time(
    clients: Clients, user: DmsUser, database: Database
) -> None:
    """Attached, detached, attached again: the old id is gone, and names nobody any more."""
    policy(clients, database)
    assert attach(clients, user)["Result"] == "true"
    (first,) = listed(clients)
    assert messages(clients, user, database) == [f"policy policy-{NUMBER}"]
    assert attach(clients, user)["Result"] == "true" and listed(clients) == [first]
    assert detach(clients, first)["Result"] == "true" and listed(clients) == messages(clients, user, database) == []
    attach(clients, user)
    (second,) = listed(clients)
    assert second != first and detach(clients, first)["Code"] == "InvalidParameterValid" and listed(clients) == [second]
    assert [(entry["op"], entry["grant"]) for entry in clients.effects("dms_policy_members")] == [
        (op, {"authorization_id": str(number), "policy_id": str(NUMBER), "user_id": user.user_id})
        for op, number in (("added", first), ("removed", first), ("added", second))
    ]
    assert clients.effects("dms_policy_members")[-1]["grant"] in clients.control("GET", "world")["dms_policy_members"]


def test_an_id_counts_within_its_kind(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """A role with the user's number has the same authorization id: the type decides which one goes."""
    policy(clients, database)
    app.world.dms.custom_roles["twin"] = int(user.user_id)
    attach(clients, user)
    clients.dms("CreateAbacAuthorization", PolicyId=NUMBER, IdentityType="ROLE", RoleId=user.user_id)
    one, other = listed(clients)
    assert one == other
    detach(clients, one, "ROLE")
    assert messages(clients, user, database) == [f"policy policy-{NUMBER}"]
    assert [entry["system"] for entry in clients.effects() if entry["op"] == "removed"] == ["dms_policy_roles"]


@pytest.mark.parametrize("reach", ["records", "policies"])
def test_detaching_a_deny_policy_widens(
    app: App, clients: Clients, user: DmsUser, database: Database, reach: str
) -> None:
    """It takes its privilege away, from records too unless the mode says otherwise; owners are not touched."""
    app.world.modes.set("dms_deny_reach", reach)
    place = {"ds_type": "DATABASE", "instance_id": str(database.instance_id), "db_id": str(database.db_id)}
    mutate(clients, op="grant", system="dms_permissions", user_id=user.user_id, perm_type="QUERY", **place)
    policy(clients, database)
    attach(clients, user)
    everything = messages(clients, user, database)
    assert everything == ["", f"policy policy-{NUMBER}"]
    policy(clients, database, NUMBER + 1, effect="Deny")
    attach(clients, user, NUMBER + 1)
    assert messages(clients, user, database) == ([""] if reach == "policies" else [])
    mutate(clients, op="dms_owner", owner_type="DATABASE", resource_id=place["db_id"], user_id=user.user_id)
    assert "owner" in messages(clients, user, database)
    mutate(
        clients, op="dms_owner", owner_type="DATABASE", resource_id=place["db_id"], user_id=user.user_id, remove=True
    )
    detach(clients, *listed(clients, NUMBER + 1))
    assert messages(clients, user, database) == everything
    (row,) = (row for row in clients.dms("ListAbacPolicies")["PolicyList"] if row["AbacPolicyId"] == NUMBER + 1)
    assert json.loads(row["AbacPolicyContent"])["Statement"][0]["Effect"] == "Deny"


def test_system_policies_are_asked_for_by_source(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """Without PolicySource all are listed, or those of the tenant only."""
    policy(clients, database, source="SYSTEM")
    attach(clients, user)
    assert len(listed(clients)) == len(listed(clients, PolicySource="SYSTEM")) == 1
    assert listed(clients, PolicySource="USER_DEFINE") == []
    app.world.modes.set("dms_source_omitted", "user_define")
    assert listed(clients) == [] and len(listed(clients, PolicySource="SYSTEM")) == 1
    assert clients.dms("GetAbacPolicy", AbacPolicyId=NUMBER)["Policy"]["PolicySource"] == "SYSTEM"


def test_pages_and_refusals(app: App, clients: Clients, user: DmsUser, database: Database) -> None:
    """Pages of ten by default; unknown policies, identities and ids are refused, absent ones by mode."""
    policy(clients, database)
    users = list(app.world.dms.users.values())
    for other in users:
        attach(clients, other)
    first, rest = (clients.dms("ListAbacAuthorizations", PolicyId=str(NUMBER), PageNumber=page)["AuthorizationList"]
                   for page in (1, 2))  # fmt: skip
    assert len(first) == 10 and {row["IdentityId"] for row in first + rest} == {int(one.user_id) for one in users}
    for wrong in ({"PolicyId": 1, "IdentityType": "USER", "UserId": user.user_id},
                  {"PolicyId": NUMBER, "IdentityType": "USER", "UserId": 1},
                  {"PolicyId": NUMBER, "IdentityType": "ROLE", "UserId": user.user_id},
                  {"PolicyId": NUMBER, "IdentityType": "GROUP", "UserId": user.user_id}):  # fmt: skip
        assert clients.dms("CreateAbacAuthorization", **wrong)["Code"] == "InvalidParameterValid"
    app.world.modes.set("dms_second_authorization", "refused")
    assert attach(clients, user)["Code"] == "InvalidParameterValid"
    assert detach(clients, 1)["Code"] == detach(clients, 1, "GROUP")["Code"] == "InvalidParameterValid"
    app.world.modes.set("dms_absent_authorization", "success")
    assert detach(clients, 1)["Result"] == "true"
    assert detach(clients, 1, "GROUP")["Code"] == "InvalidParameterValid"
    assert len(clients.effects("dms_policy_members")) == len(users)


def test_lists_may_be_late_and_writes_pretended(clients: Clients, user: DmsUser, database: Database) -> None:
    """What was detached stays listed for one read, what is new stays hidden; a pretended write changes nothing."""
    policy(clients, database)
    clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": "CreateAbacAuthorization"})
    attach(clients, user)
    assert [len(listed(clients)) for _ in range(2)] == [0, 1]
    (number,) = listed(clients)
    clients.control("POST", "faults", {"kind": "pretend", "action": "DeleteAbacAuthorization"})
    assert detach(clients, number)["Result"] == "true" and listed(clients) == [number]
    clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": "DeleteAbacAuthorization"})
    assert detach(clients, number)["Result"] == "true"
    assert [len(listed(clients)) for _ in range(2)] == [1, 0]
    clients.control("POST", "faults", {"kind": "pretend", "action": "CreateAbacAuthorization"})
    assert attach(clients, user)["Result"] == "true" and listed(clients) == []
