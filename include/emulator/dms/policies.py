"""ABAC policies and whom they are attached to: users and custom roles."""

from __future__ import annotations

import json
from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure, optional_list
from emulator.registry import Call
from emulator.store.dms import Policy

_SPAN = 10_000_000
"""An authorization id is the policy's id times this plus the identity: stable, and unique for each kind."""


def _content(policy: Policy) -> str:
    """The policy as JSON text; the words inside are invented, the outline is the vendor's."""
    place = f"database/{policy.db_id}" if policy.db_id else f"instance/{policy.instance_id}"
    return json.dumps({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": f"dms:{policy.perm}", "Resource": f"acs:dms:*:*:{place}", "Condition": {}},
    ]})  # fmt: skip


@DMS.action("ListAbacPolicies", f"Tid:int {PAGE} SearchKey")
def list_policies(call: Call) -> dict[str, Any]:
    """Policies of the tenant by page."""
    caller(call)
    found = [policy for policy in call.world.dms.policies if call.text("SearchKey") in policy.name]
    answer: dict[str, Any] = {"Tid": call.world.dms.tenant_id, "TotalCount": len(found)}
    optional_list(call, answer, "PolicyList", [
        {"AbacPolicyId": policy.policy_id, "AbacPolicyName": policy.name, "AbacPolicyDesc": "", "CreatorId": 1,
         "AbacPolicySource": "USER_DEFINE", "AbacPolicyContent": _content(policy)}
        for policy in cut(call, found)
    ])  # fmt: skip
    return answer


def _find(call: Call, policy_id: str, name: str = "") -> Policy:
    caller(call)
    for policy in call.world.dms.policies:
        if str(policy.policy_id) == policy_id or (not policy_id and policy.name == name):
            return policy
    raise failure(call, "InvalidParameterValid", "The policy does not exist.", 400)


@DMS.action("GetAbacPolicy", "Tid:int AbacPolicyId:int AbacPolicyName")
def get_policy(call: Call) -> dict[str, Any]:
    """One policy by id or name."""
    policy = _find(call, call.text("AbacPolicyId"), call.text("AbacPolicyName"))
    return {"Policy": {
        "PolicyId": policy.policy_id, "PolicyName": policy.name, "PolicyDesc": "", "PolicySource": "USER_DEFINE",
        "PolicyContent": _content(policy), "CreatorId": 1,
        "AuthorizedQuantity": str(len(policy.user_ids) + len(policy.role_ids)),
    }}  # fmt: skip


def _authorizations(call: Call, policy: Policy) -> list[dict[str, Any]]:
    store = call.world.dms
    names = {number: name for name, number in store.custom_roles.items()}
    held = [("USER", int(user), store.users[user].nick if user in store.users else "") for user in policy.user_ids]
    held += [("ROLE", role, names.get(role, "")) for role in policy.role_ids]
    return [
        {"AuthorizationId": policy.policy_id * _SPAN + ident, "IdentityType": kind, "IdentityId": ident,
         "IdentityName": name, "PolicyId": policy.policy_id, "PolicyName": policy.name, "PolicySource": "USER_DEFINE"}
        for kind, ident, name in held
    ]  # fmt: skip


@DMS.action("ListAbacAuthorizations", f"Tid:int {PAGE} PolicyId PolicySource")
def list_authorizations(call: Call) -> dict[str, Any]:
    """Whom policies are attached to, by page; without ``PolicyId`` those of all policies."""
    caller(call)
    wanted = call.text("PolicyId")
    policies = [_find(call, wanted)] if wanted else call.world.dms.policies
    if call.text("PolicySource") not in ("", "USER_DEFINE"):
        policies = []
    found = [row for policy in policies for row in _authorizations(call, policy)]
    answer: dict[str, Any] = {"TotalCount": len(found)}
    optional_list(call, answer, "AuthorizationList", cut(call, found))
    return answer


@DMS.action("CreateAbacAuthorization", "Tid:int IdentityType! PolicyId!:int RoleId:int UserId:int", write=True)
def create_authorization(call: Call) -> dict[str, Any]:
    """Attach a policy to a user or a custom role."""
    policy, kind = _find(call, call.text("PolicyId")), call.text("IdentityType")
    store = call.world.dms
    if kind == "USER" and call.text("UserId") in store.users:
        _attach(call, policy, kind, call.text("UserId"), remove=False)
    elif kind == "ROLE" and call.number("RoleId", 0) in store.custom_roles.values():
        _attach(call, policy, kind, call.text("RoleId"), remove=False)
    else:
        raise failure(call, "InvalidParameterValid", "IdentityType, UserId or RoleId is not valid.", 400)
    return {"Result": "true"}


def _attach(call: Call, policy: Policy, kind: str, ident: str, *, remove: bool) -> None:
    held: list[Any] = policy.user_ids if kind == "USER" else policy.role_ids
    value: Any = ident if kind == "USER" else int(ident)
    if (value in held) != remove:
        return
    (held.remove if remove else held.append)(value)
    name = "policy_members" if kind == "USER" else "policy_roles"
    fields = {"policy_id": str(policy.policy_id), "user_id" if kind == "USER" else "role_id": ident}
    call.world.dms.changed("removed" if remove else "added", name, fields)


@DMS.action("DeleteAbacAuthorization", "Tid:int AuthorizationId!:int IdentityType!", write=True)
def delete_authorization(call: Call) -> dict[str, Any]:
    """Detach a policy from one user or role."""
    number, ident = divmod(call.params["AuthorizationId"], _SPAN)
    policy = _find(call, str(number))
    kind = call.text("IdentityType")
    held = [str(one) for one in (policy.user_ids if kind == "USER" else policy.role_ids)]
    if kind not in ("USER", "ROLE") or str(ident) not in held:
        raise failure(call, "InvalidParameterValid", "The authorization does not exist.", 400)
    _attach(call, policy, kind, str(ident), remove=True)
    return {"Result": "true"}
