"""ABAC policies and whom they are attached to: users and custom roles."""

from __future__ import annotations

import json
from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure, optional_list
from emulator.registry import Call
from emulator.store.policies import Policy


def _content(policy: Policy) -> str:
    """The policy as JSON text; the words inside are invented, the outline is the vendor's."""
    place = f"database/{policy.db_id}" if policy.db_id else f"instance/{policy.instance_id}"
    return json.dumps({"Version": "1", "Statement": [
        {"Effect": policy.effect, "Action": f"dms:{policy.perm}", "Resource": f"acs:dms:*:*:{place}", "Condition": {}},
    ]})  # fmt: skip


@DMS.action("ListAbacPolicies", f"Tid:int {PAGE} SearchKey")
def list_policies(call: Call) -> dict[str, Any]:
    """Policies of the tenant by page."""
    caller(call)
    found = [policy for policy in call.world.dms.policies if call.text("SearchKey") in policy.name]
    answer: dict[str, Any] = {"Tid": call.world.dms.tenant_id, "TotalCount": len(found)}
    optional_list(call, answer, "PolicyList", [
        {"AbacPolicyId": policy.policy_id, "AbacPolicyName": policy.name, "AbacPolicyDesc": "", "CreatorId": 1,
         "AbacPolicySource": policy.source, "AbacPolicyContent": _content(policy)}
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
        "PolicyId": policy.policy_id, "PolicyName": policy.name, "PolicyDesc": "", "PolicySource": policy.source,
        "PolicyContent": _content(policy), "CreatorId": 1,
        "AuthorizedQuantity": str(len(policy.user_ids) + len(policy.role_ids)),
    }}  # fmt: skip


def _authorizations(call: Call, policy: Policy) -> list[dict[str, Any]]:
    store = call.world.dms
    names = {number: name for name, number in store.custom_roles.items()}
    nicks = {int(user.user_id): user.nick for user in store.users.values()}
    return [
        {"AuthorizationId": one.number, "IdentityType": one.kind, "IdentityId": one.ident,
         "IdentityName": (nicks if one.kind == "USER" else names).get(one.ident, ""), "PolicyId": policy.policy_id,
         "PolicyName": policy.name, "PolicySource": policy.source}
        for one in store.policies.listed(policy)
    ]  # fmt: skip


@DMS.action("ListAbacAuthorizations", f"Tid:int {PAGE} PolicyId PolicySource")
def list_authorizations(call: Call) -> dict[str, Any]:
    """Whom policies are attached to, by page; without ``PolicyId`` or ``PolicySource`` those of all policies."""
    caller(call)
    wanted = call.text("PolicyId")
    policies = [_find(call, wanted)] if wanted else list(call.world.dms.policies)
    source = call.text("PolicySource")
    if not source and call.world.modes["dms_source_omitted"] == "user_define":
        source = "USER_DEFINE"
    found = [row for policy in policies if source in ("", policy.source) for row in _authorizations(call, policy)]
    answer: dict[str, Any] = {"TotalCount": len(found)}
    optional_list(call, answer, "AuthorizationList", cut(call, found))
    return answer


@DMS.action("CreateAbacAuthorization", "Tid:int IdentityType! PolicyId!:int RoleId:int UserId:int", write=True)
def create_authorization(call: Call) -> dict[str, Any]:
    """Attach a policy to a user or a custom role; a second time changes nothing, or is refused, by mode."""
    policy, kind, store = _find(call, call.text("PolicyId")), call.text("IdentityType"), call.world.dms
    known = {"USER": set(map(int, store.users)), "ROLE": set(store.custom_roles.values())}
    ident = call.number({"USER": "UserId", "ROLE": "RoleId"}.get(kind, ""), 0)
    if ident not in known.get(kind, ()):
        raise failure(call, "InvalidParameterValid", "IdentityType, UserId or RoleId is not valid.", 400)
    if not store.policies.attach(policy, kind, ident) and call.world.modes["dms_second_authorization"] == "refused":
        raise failure(call, "InvalidParameterValid", "The policy is attached to the object already.", 400)
    return {"Result": "true"}


@DMS.action("DeleteAbacAuthorization", "Tid:int AuthorizationId!:int IdentityType!", write=True)
def delete_authorization(call: Call) -> dict[str, Any]:
    """Detach a policy from one user or role. The id counts within its kind: the other kind may have the same one."""
    caller(call)
    kind, number, store = call.text("IdentityType"), call.params["AuthorizationId"], call.world.dms
    for policy in store.policies:
        for one in policy.attached():
            if (one.kind, one.number) == (kind, number):
                store.policies.attach(policy, kind, one.ident, remove=True)
                return {"Result": "true"}
    if kind not in ("USER", "ROLE") or call.world.modes["dms_absent_authorization"] == "refused":
        raise failure(call, "InvalidParameterValid", "The authorization does not exist.", 400)
    return {"Result": "true"}
