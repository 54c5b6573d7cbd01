"""Policies of DMS: which attachments may go, whose they are, and what the final bytes name."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from rescind.cloud.dms.policies import CreateAbacAuthorization
from rescind.errors import BlastRadiusExceededError, InputError, ListingIncompleteError
from rescind.model import Grant, PlannedCall
from rescind.systems import system_named
from rescind.systems.dms.abac_authorizations import ROLES, DmsAbacAuthorizations
from rescind.systems.effective import access_around
from rescind.systems.population import Population
from rescind.systems.surfaces import UNNAMED
from tests.support.dms_tenant import ANN, BOB, UID, Answers, client, user, users
from tests.support.sink import Lists

POLICIES = system_named(DmsAbacAuthorizations.name)


def content(*effects: Any) -> str:
    return json.dumps({"Version": "1", "Statement": [{"Action": "*", "Effect": one} for one in effects]})


ALLOWS = content("Allow")


def policies(text: Any = ALLOWS, **fields: Any) -> Answers:
    one = {"AbacPolicyId": 5, "AbacPolicyName": "read", "AbacPolicySource": "USER_DEFINE", "AbacPolicyContent": text}
    return {"PolicyList": [{**one, **fields}], "TotalCount": 1}


def attachments(**fields: Any) -> Answers:
    one = {"AuthorizationId": 7, "IdentityType": "USER", "IdentityId": int(ANN), "PolicyId": 5, "PolicyName": "read"}
    return {"AuthorizationList": [{**one, **fields}], "TotalCount": 1}


def discovered(**answers: Answers) -> tuple[Lists, Population]:
    sink = Lists()
    found = Population(sink)
    known = {"ListAbacPolicies": policies(), "ListAbacAuthorizations": attachments(), **answers}
    asyncio.run(POLICIES.discover(client(known), found))
    return sink, found


def only(**answers: Answers) -> Grant:
    (grant,) = discovered(**answers)[0].grants
    assert POLICIES.cell(grant.key) == grant.cell and grant.revocable == (not grant.why_not)
    return grant


def test_an_attachment_of_a_policy_that_allows_can_go() -> None:
    grant = only()
    assert grant.revocable and (grant.key.principal_id, grant.key.native_id) == (ANN, "7")
    assert POLICIES.unfaithful(grant) == "" and POLICIES.slot(grant.key) == tuple(grant.key._replace(native_id=""))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (content("Allow", "Deny"), "more than allow"),
        (content("deny"), "more than allow"),
        (content("allow"), "more than allow"),
        (content(None), "cannot be read"),
        (content(), "cannot be read"),
        (None, "cannot be read"),
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"Statement": {"Effect": "Allow"}}', "cannot be read"),
        ('{"Statement": [{"Effect": "Deny", "Effect": "Allow"}]}', "cannot be read"),
        ('{"Statement": [{"Action": "*"}]}', "cannot be read"),
        ('{"Statement": ["Allow"]}', "cannot be read"),
    ],
)
def test_a_policy_that_may_forbid_stays_at_plan_and_at_send(text: Any, why: str) -> None:
    grant = only(ListAbacPolicies=policies(text))
    assert not grant.revocable and why in grant.why_not
    planned = only()
    again = asyncio.run(POLICIES.also_ended(client({"ListAbacPolicies": policies(text)}), [planned]))
    assert why in again[planned.grant_id]
    assert asyncio.run(POLICIES.also_ended(client({"ListAbacPolicies": policies()}), [planned])) == {}


def test_a_policy_that_is_not_listed_any_more_is_not_detached() -> None:
    planned, other = only(), policies(AbacPolicyId=6)
    assert planned.grant_id in asyncio.run(POLICIES.also_ended(client({"ListAbacPolicies": other}), [planned]))
    gone = asyncio.run(POLICIES.gone_holders(client({"ListAbacPolicies": other}), [planned]))
    assert gone == {planned.grant_id: "the policy is gone"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"IdentityId": 777}, "no listed user"),
        ({"IdentityId": None}, "no user and no role"),
        ({"IdentityType": "GROUP"}, "no user and no role"),
        ({"IdentityType": None}, "no user and no role"),
        ({"IdentityType": "ROLE", "IdentityId": 12}, "no listed user is in a role"),
        ({"IdentityId": "ann"}, "cannot name"),
    ],
)
def test_whose_an_attachment_is_must_be_known(fields: Answers, why: str) -> None:
    grant = only(ListAbacAuthorizations=attachments(**fields))
    assert not grant.revocable and why in grant.why_not


def test_the_id_of_a_cloud_account_stands_for_its_user() -> None:
    grant = only(ListAbacAuthorizations=attachments(IdentityId=int(UID[ANN])))
    assert grant.key.principal_id == ANN and grant.revocable


def test_a_role_with_listed_members_can_go_and_is_a_way_for_them() -> None:
    listed = users(user(ANN, "readers", RoleIdList={"RoleIds": [2, 12]}), user(BOB))
    role = attachments(IdentityType="ROLE", IdentityId=12)
    sink, found = discovered(ListUsers=listed, ListAbacAuthorizations=role)
    (grant,) = sink.grants
    assert grant.revocable and (grant.key.principal_type, grant.key.principal_id) == ("role", "12")
    assert {(edge.member_id, edge.container_id) for edge in sink.memberships} == {(ANN, "2"), (ANN, "12")}
    assert found.gaps == []


def test_a_role_whose_members_are_not_listed_leaves_its_policy_unproven() -> None:
    _, found = discovered(ListAbacAuthorizations=attachments(IdentityType="ROLE", IdentityId=12))
    (gap,) = found.gaps
    assert (gap.surface, gap.resource) == (ROLES.name, ("policy", "5"))


@pytest.mark.parametrize("ids", [None, [], [12]])
def test_a_user_whose_role_ids_are_not_told_is_unproven(ids: Any) -> None:
    listed = users(user(ANN, "readers", "writers", RoleIdList={"RoleIds": ids}), user(BOB))
    _, found = discovered(ListUsers=listed)
    assert [gap.principal for gap in found.gaps] == [("user", ANN)]


def test_a_row_about_another_policy_is_no_listing() -> None:
    with pytest.raises(ListingIncompleteError, match="another policy"):
        discovered(ListAbacAuthorizations=attachments(PolicyId=6))


@pytest.mark.parametrize(
    "query",
    [
        "AuthorizationId=7&Tid=3",
        "AuthorizationId=7&IdentityType=GROUP&Tid=3",
        "AuthorizationId=7,8&IdentityType=USER&Tid=3",
        "AuthorizationId=&IdentityType=USER&Tid=3",
        "IdentityType=USER&Tid=3",
        "AuthorizationId=7&IdentityType=USER&Tid=3&PolicyId=5",
        "AuthorizationId=7&AuthorizationId=8&IdentityType=USER&Tid=3",
    ],
)
def test_a_request_that_does_not_name_one_attachment_is_refused(query: str) -> None:
    grant = only()
    cell = grant.cell
    call = PlannedCall(POLICIES.name, "a", cell.container, (cell.row,), ((cell.kind, cell.column),))
    made = client({}).prepare(POLICIES.request(call, [grant]))
    assert POLICIES.blast_radius(made) == {cell}
    with pytest.raises(BlastRadiusExceededError):
        POLICIES.blast_radius(replace(made, url=f"{made.url.partition('?')[0]}?{query}"))


@pytest.mark.parametrize(
    "given",
    [
        {"IdentityType": "USER"},
        {"IdentityType": "USER", "RoleId": "5"},
        {"IdentityType": "ROLE", "UserId": "5"},
        {"IdentityType": "USER", "UserId": "5", "RoleId": "5"},
    ],
)
def test_a_policy_is_given_to_exactly_one(given: dict[str, str]) -> None:
    with pytest.raises(InputError):
        CreateAbacAuthorization(PolicyId="5", Tid="3", **given)


def rows(*given: Answers) -> Answers:
    listed = [{**attachments()["AuthorizationList"][0], **one} for one in given]
    return {"AuthorizationList": listed, "TotalCount": len(listed)}


@pytest.mark.parametrize("other", [{"IdentityType": "GROUP"}, {"IdentityType": None}, {"IdentityId": None}])
def test_a_policy_that_somebody_unnamed_has_too_is_never_proven_gone(other: Answers) -> None:
    sink, found = discovered(ListAbacAuthorizations=rows({}, {"AuthorizationId": 8, **other}))
    mine = next(grant for grant in sink.grants if grant.revocable)
    rest = [grant for grant in sink.grants if grant is not mine]
    assert found.gaps == [] and len(rest) == 1
    assert UNNAMED.surface in access_around(POLICIES, [mine], rest, sink.memberships).untraceable(mine)


@pytest.mark.parametrize("ident", [777, "0", "ann"])
def test_a_user_whom_nobody_lists_leaves_the_policy_unproven(ident: Any) -> None:
    sink, found = discovered(ListAbacAuthorizations=rows({}, {"AuthorizationId": 8, "IdentityId": ident}))
    assert sorted(grant.revocable for grant in sink.grants) == [False, True]
    assert [(gap.surface, gap.resource) for gap in found.gaps] == [("attachments", ("policy", "5"))]


def test_a_user_and_a_role_may_have_attachments_with_one_id() -> None:
    listed = users(user(ANN, "readers", RoleIdList={"RoleIds": [12]}), user(BOB))
    both = rows({}, {"IdentityType": "ROLE", "IdentityId": 12})
    sink, _ = discovered(ListUsers=listed, ListAbacAuthorizations=both)
    assert {grant.cell.kind for grant in sink.grants} == {"USER", "ROLE"} and len({g.cell for g in sink.grants}) == 2
    assert all(grant.revocable for grant in sink.grants)


def test_a_row_that_does_not_name_its_policy_is_listed_and_stays() -> None:
    grant = only(ListAbacAuthorizations=attachments(PolicyId=None))
    assert not grant.revocable and "does not name its policy" in grant.why_not and grant.key == only().key
