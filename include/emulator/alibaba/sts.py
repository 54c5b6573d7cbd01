"""Alibaba's STS: who am I, temporary credentials of a role, with a key or with an OIDC token."""

from __future__ import annotations

import re
from typing import Any

from emulator.alibaba import STS
from emulator.clock import iso_z
from emulator.errors import ApiError
from emulator.keys import ALIBABA_ACCOUNT, Identity
from emulator.registry import Call

_ROLE_ARN = re.compile(r"^acs:ram::(?P<account>\d+):role/(?P<role>[\w.-]+)$")
_SESSION = re.compile(r"^[\w.@-]{2,64}$", re.ASCII)


@STS.action("GetCallerIdentity", "")
def caller_identity(call: Call) -> dict[str, Any]:
    """Arn, account, user of the caller."""
    who = call.identity
    if who.kind == "role":
        return {
            "IdentityType": "AssumedRoleUser", "AccountId": who.account, "PrincipalId": f"{who.user}:{who.name}",
            "UserId": None, "RoleId": who.user, "Arn": f"acs:ram::{who.account}:assumed-role/demo/{who.name}",
        }  # fmt: skip
    return {
        "IdentityType": "RAMUser", "AccountId": who.account, "PrincipalId": who.user, "UserId": who.user,
        "Arn": f"acs:ram::{who.account}:user/{who.name}",
    }  # fmt: skip


@STS.action("AssumeRole", "RoleArn! RoleSessionName! DurationSeconds:int Policy ExternalId")
def assume_role(call: Call) -> dict[str, Any]:
    """Temporary credentials for a role of the caller's account."""
    return _session(call, call.identity.account, allowed=call.identity.allowed)


@STS.action(
    "AssumeRoleWithOIDC", "RoleArn! OIDCProviderArn! OIDCToken! RoleSessionName! DurationSeconds:int Policy",
    signed=False,
)  # fmt: skip
def assume_role_with_oidc(call: Call) -> dict[str, Any]:
    """Temporary credentials for an identity token; any token but ``invalid`` is taken."""
    if call.text("OIDCToken") == "invalid":
        raise ApiError("AuthenticationFail.OIDCToken.Invalid", "The OIDC token is invalid.")
    return _session(call, ALIBABA_ACCOUNT, allowed=True)


def _session(call: Call, account: str, *, allowed: bool) -> dict[str, Any]:
    match = _ROLE_ARN.match(call.text("RoleArn"))
    if match is None or not _SESSION.match(call.text("RoleSessionName")):
        raise ApiError("InvalidParameter", "RoleArn or RoleSessionName has the wrong shape.")
    duration = call.number("DurationSeconds", 3600)
    if not 900 <= duration <= 43_200:
        raise ApiError("InvalidParameter.DurationSeconds", "DurationSeconds must be between 900 and 43200.")
    if not allowed or match["account"] != account:
        raise ApiError("NoPermission", "You are not authorized to assume the role.", 403)
    identity = Identity("alibaba", account, f"3{len(match['role']):017d}", call.text("RoleSessionName"), "role")
    expires = int(call.world.clock.now()) + duration
    credential = call.world.keys.session(identity, expires)
    return {
        "AssumedRoleUser": {
            "Arn": f"acs:ram::{account}:assumed-role/{match['role']}/{identity.name}",
            "AssumedRoleId": f"{identity.user}:{identity.name}",
        },
        "Credentials": {
            "AccessKeyId": credential.key_id, "AccessKeySecret": credential.secret,
            "SecurityToken": credential.token, "Expiration": iso_z(expires),
        },
    }  # fmt: skip
