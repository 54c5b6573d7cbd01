"""Tencent's STS: who am I, temporary credentials of a role, with a key or with an identity token."""

from __future__ import annotations

import re
from typing import Any

from emulator.clock import iso_z
from emulator.errors import ApiError
from emulator.keys import TENCENT_ACCOUNT, Identity
from emulator.registry import Call
from emulator.tencent import STS

_SESSION_NAME = re.compile(r"^[\w=,.@-]{2,128}$", re.ASCII)
_ROLE_ARN = re.compile(r"^qcs::cam::uin/(?P<account>\d+):(?:roleName|role)/(?P<role>[\w./-]+)$")
_ROLE = {
    "RoleArn!": str, "RoleSessionName!": str, "DurationSeconds": int, "Policy": str, "ExternalId": str,
    "Tags": [{"Key": str, "Value": str}], "SourceIdentity": str, "SerialNumber": str, "TokenCode": str,
}  # fmt: skip
_WEB_IDENTITY = {
    "ProviderId!": str, "WebIdentityToken!": str, "RoleArn!": str, "RoleSessionName!": str, "DurationSeconds": int,
}  # fmt: skip


@STS.action("GetCallerIdentity", {})
def caller_identity(call: Call) -> dict[str, Any]:
    """Arn, account, user of the caller."""
    who = call.identity
    if who.kind == "role":
        arn = f"qcs::sts::{who.account}:assumed-role/{who.user}"
        return {"Arn": arn, "AccountId": who.account, "UserId": f"{who.user}:{who.name}",
                "PrincipalId": who.user, "Type": "CAMRole"}  # fmt: skip
    return {"Arn": f"qcs::cam::uin/{who.account}:uin/{who.user}", "AccountId": who.account, "UserId": who.user,
            "PrincipalId": who.user, "Type": "CAMUser"}  # fmt: skip


@STS.action("AssumeRole", _ROLE)
def assume_role(call: Call) -> dict[str, Any]:
    """Temporary credentials for a role of the caller's account."""
    return _session(call, call.identity.account, allowed=call.identity.allowed)


@STS.action("AssumeRoleWithWebIdentity", _WEB_IDENTITY, signed=False)
def assume_role_with_web_identity(call: Call) -> dict[str, Any]:
    """Temporary credentials for an identity token; any token but ``invalid`` is taken."""
    if call.params["WebIdentityToken"] == "invalid":
        raise ApiError("InvalidParameter.WebIdentityTokenError", "The identity token is invalid.")
    return _session(call, TENCENT_ACCOUNT, allowed=True)


def _session(call: Call, account: str, *, allowed: bool) -> dict[str, Any]:
    match = _ROLE_ARN.match(call.params["RoleArn"])
    if match is None or not _SESSION_NAME.match(call.params["RoleSessionName"]):
        raise ApiError("InvalidParameter", "RoleArn or RoleSessionName has the wrong shape.")
    duration = call.number("DurationSeconds", 7200)
    if not 1 <= duration <= 43_200:
        raise ApiError("InvalidParameter", "DurationSeconds must be between 1 and 43200.")
    if match["account"] != account or not allowed:
        raise ApiError("UnauthorizedOperation", "The role cannot be assumed by the caller.")
    identity = Identity("tencent", account, f"4611686018{len(match['role']):06d}",
                        call.params["RoleSessionName"], "role")  # fmt: skip
    expires = int(call.world.clock.now()) + duration
    credential = call.world.keys.session(identity, expires)
    return {
        "Credentials": {"Token": credential.token, "TmpSecretId": credential.key_id,
                        "TmpSecretKey": credential.secret},
        "ExpiredTime": expires, "Expiration": iso_z(expires),
    }  # fmt: skip
