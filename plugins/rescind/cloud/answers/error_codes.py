"""What the vendors' error codes mean for us. Codes decide; the HTTP status never does alone.

Quick BI answered HTTP 500 for permanent business errors and answers 400 for the same codes today, Tencent
answers 200 for everything: a status says little. Choices that no vendor page settles:

* **An unknown code on a write is an unknown outcome**, whatever the status: no vendor states that an error
  means "not executed". A known code of the rows *refused*, *unauthorized*, *not found* and *throttled* is
  taken as not executed, because it names a check that comes before the work. For a batch call that holds for
  the call, not for each cell of it; verification reads all cells again.
* ``FailedOperation``, ``InternalError`` and their like on a write are unknown outcomes: they may come from the
  middle of the work. So is ``ServiceUnavailable``, although the vendor's Terraform provider just retries it: a
  re-read costs one request, a wrong guess a second write.
* ``SignatureNonceUsed`` on a write is an unknown outcome: the first copy may have been executed.
* A code that says the whole account cannot work (expired instance or tenant, key or edition not allowed) is
  *unauthorized* and not *refused*: it would meet every further call too, so the run should stop early.
* An unknown code on a read is worth another try only when the status is 5xx.
* HTTP 429 on a read means throttled, whatever the code: asking again later is harmless. On a write the code decides.

Sources: the error tables of the four API pages and of both vendors' common error code pages, SDK code lists.
"""

from __future__ import annotations

from enum import StrEnum


class Class(StrEnum):
    """What a code means."""

    THROTTLED = "throttled"
    CLOCK = "clock"
    TOKEN = "token"
    NONCE = "nonce"
    AMBIGUOUS = "ambiguous"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not found"
    REFUSED = "refused"
    UNKNOWN = "unknown"


_TENCENT: dict[str, Class] = {
    "AuthFailure.SignatureExpire": Class.CLOCK,
    "AuthFailure.TokenFailure": Class.TOKEN,
    "InternalError.InvalidParameter": Class.REFUSED,  # fatal in spite of its prefix
    "InvalidParameter.ServiceIsBusy": Class.AMBIGUOUS,  # passing in spite of its prefix
    "FailedOperation.ExecutorClusterStatusError": Class.AMBIGUOUS,
    "InvalidParameter.ClientIpNotAuthorized": Class.UNAUTHORIZED,
    "InvalidParameter.WorkspaceNotExist": Class.NOT_FOUND,
    "IpInBlacklist": Class.UNAUTHORIZED,
    "IpNotInWhitelist": Class.UNAUTHORIZED,
    "ActionOffline": Class.REFUSED,
    "DryRunOperation": Class.REFUSED,
    "InvalidAction": Class.REFUSED,
    "InvalidRequest": Class.REFUSED,
    "MissingParameter": Class.REFUSED,
    "NoSuchProduct": Class.REFUSED,
    "NoSuchVersion": Class.REFUSED,
    "RequestSizeLimitExceeded": Class.REFUSED,
    "UnknownParameter": Class.REFUSED,
    "UnsupportedOperation": Class.REFUSED,
    "UnsupportedRegion": Class.REFUSED,
    "UnsupportedProtocol": Class.REFUSED,
}
_TENCENT_FAMILIES: tuple[tuple[str, Class], ...] = (
    ("RequestLimitExceeded", Class.THROTTLED),
    ("AuthFailure", Class.UNAUTHORIZED),
    ("UnauthorizedOperation", Class.UNAUTHORIZED),
    ("OperationDenied", Class.UNAUTHORIZED),
    ("ResourceNotFound", Class.NOT_FOUND),
    ("InvalidParameterValue", Class.REFUSED),
    ("InvalidParameter", Class.REFUSED),
    ("LimitExceeded", Class.REFUSED),
    ("ResourceInUse", Class.REFUSED),
    ("ResourceInsufficient", Class.REFUSED),
    ("FailedOperation", Class.AMBIGUOUS),
    ("InternalError", Class.AMBIGUOUS),
    ("ResourceUnavailable", Class.AMBIGUOUS),
    ("ResponseSizeLimitExceeded", Class.AMBIGUOUS),  # the work may be done; only the answer was too long
)

_QUICKBI_CHECKS = (
    "AnalystUser.NotSupport.AdminOrDevRole",
    "BindRole.NotExist.Error",
    "CanNot.Remove.WorkspaceOwner",
    "Cannot.TransferTo.Owner",
    "CannotRemove.OrganizationOwner",
    "Instance.Over.MaxLicense",
    "Invalid.Param.Error",
    "Member.ExistInWorkspace.Error",
    "Parameter.Length.Exceed",
    "PersonalWorkspace.NotSupport.AllTransfer",
    "RoleCount.ExceedsLimit.Error",
    "Share.ExpireDate.Error",
    "Transfer.TargetUser.NotExist",
    "User.AlreadyIn.Organization",
    "User.AlreadyIn.Role",
    "User.AlreadyIn.Workspace",
    "User.Duplicative",
    "User.OrganizationRole.NotExist",
    "User.Role.NotExist",
    "User.RoleType.Valid",
    "UserAnalyst.NotSupport.ThisRole",
    "UserGroup.Already.Synchronized",
    "UserInfo.Error",
    "Viewer.AddInTo.Workspace",
    "Viewer.CannotHave.CustomRole",
    "Works.Transfer.Error",
    "Workspace.OutsideShare.Forbidden",
    "Workspace.Share.Forbidden",
    "Workspace.Type.Error",
)
"""Codes of Quick BI that name a check before the work, from the pages of the actions that are used here."""

_ALIBABA: dict[str, Class] = {
    # gateway
    "ServiceUnavailable": Class.AMBIGUOUS,
    "InternalError": Class.AMBIGUOUS,
    "UnknownError": Class.AMBIGUOUS,
    "SignatureNonceUsed": Class.NONCE,
    "InvalidTimeStamp.Expired": Class.CLOCK,
    "InvalidTimeStamp.Format": Class.CLOCK,
    "IllegalTimestamp": Class.CLOCK,
    "InvalidSecurityToken.Expired": Class.TOKEN,
    "SignatureDoesNotMatch": Class.UNAUTHORIZED,
    "IncompleteSignature": Class.UNAUTHORIZED,
    "MissingSecurityToken": Class.UNAUTHORIZED,
    "MissingAccessKeyId": Class.UNAUTHORIZED,
    "ActionUnauthorized": Class.UNAUTHORIZED,
    "NoPermission": Class.UNAUTHORIZED,
    "InsufficientBalance": Class.UNAUTHORIZED,
    "InvalidApi.NotFound": Class.REFUSED,
    "InvalidAction": Class.REFUSED,
    "InvalidAction.NotFound": Class.REFUSED,
    "InvalidVersion": Class.REFUSED,
    "NoSuchVersion": Class.REFUSED,
    "InvalidProduct.NotFound": Class.REFUSED,
    "UnsupportedHTTPMethod": Class.REFUSED,
    "InvalidProtocol.NeedSsl": Class.REFUSED,
    # DMS
    "NotSupportYet": Class.REFUSED,
    "UserNotExist": Class.UNAUTHORIZED,  # the calling account is not a DMS user
    "UserStatusIllegal": Class.UNAUTHORIZED,
    "TenantNotExist": Class.UNAUTHORIZED,
    "TenantExpired": Class.UNAUTHORIZED,
    "TenantStatusIllegal": Class.UNAUTHORIZED,
    "InstanceExisted": Class.REFUSED,
    "InstanceNoEnoughNumber": Class.REFUSED,
    "UserExisted": Class.REFUSED,
    "UserNoEnoughNumber": Class.REFUSED,
    "SecurityRuleNotExist": Class.NOT_FOUND,
    "WorkspaceNotExist": Class.NOT_FOUND,
    # Quick BI
    "Instance.Expired": Class.UNAUTHORIZED,
    "Instance.Not.Exist": Class.UNAUTHORIZED,
    "Access.Forbidden": Class.UNAUTHORIZED,
    "Not.Organization.AuthAdmin": Class.UNAUTHORIZED,
    "Invalid.Organization": Class.UNAUTHORIZED,
    "User.Not.In.Organization": Class.NOT_FOUND,
    "Report.NotExist.Error": Class.NOT_FOUND,
    "Work.Not.Exist": Class.NOT_FOUND,
    "Cube.Not.Exist": Class.NOT_FOUND,
    "Datasource.NotFound.Error": Class.NOT_FOUND,
    "Invalid.User.Organization": Class.NOT_FOUND,
    "Workspace.NotIn.Organization": Class.NOT_FOUND,
    "Menu.NotBelongTo.CurrentDataportal": Class.NOT_FOUND,
    "User.NotBelongTo.CurrentOrganization": Class.NOT_FOUND,
    "Usergroup.NotBelongTo.CurrentOrganization": Class.NOT_FOUND,
    "AccessMenu.NotMatch.Portal": Class.REFUSED,
    "FolderMenu.CanNot.Authorize": Class.REFUSED,
    "System.Param.empty": Class.REFUSED,
    "System.Param.Empty": Class.REFUSED,
    "Internal.System.Error": Class.AMBIGUOUS,
    "Invalid.User.Admin": Class.UNAUTHORIZED,  # the calling account is no administrator of the organization
    "Not.ApiCall.AuthUser": Class.UNAUTHORIZED,
    "ApiUser.Not.Exists": Class.UNAUTHORIZED,  # the calling account is not in the organization
    "NoPermissionTo.Operate.Object": Class.REFUSED,
    "User.Not.WorkspaceAdmin": Class.REFUSED,  # of one workspace; the key may still work in others
    "Application.Object.NotExist": Class.NOT_FOUND,
    "Invalid.User": Class.NOT_FOUND,
    "Invalid.Workspace": Class.NOT_FOUND,
    "Resource.NotBelongTo.CurrentOrganization": Class.NOT_FOUND,
    "User.NotIn.Workspace": Class.NOT_FOUND,
    "UserGroup.NotIn.Organization": Class.NOT_FOUND,
    "Usergroup.Not.Exist": Class.NOT_FOUND,
    "Workspace.Not.Exist": Class.NOT_FOUND,
    **dict.fromkeys(_QUICKBI_CHECKS, Class.REFUSED),
}
_ALIBABA_FAMILIES: tuple[tuple[str, Class], ...] = (
    ("InvalidAccessKeyId", Class.UNAUTHORIZED),
    ("InvalidSecurityToken", Class.UNAUTHORIZED),
    ("Forbidden", Class.UNAUTHORIZED),
    ("NoPermission", Class.UNAUTHORIZED),
    ("InvalidParameter", Class.REFUSED),
    ("Invalid.Parameter", Class.REFUSED),
    ("Missing", Class.REFUSED),
    ("DeletePermission", Class.REFUSED),
    ("InternalError", Class.AMBIGUOUS),
)


def meaning(vendor: str, code: str) -> Class:
    """What a code means.

    :param vendor: ``tencent`` or ``alibaba``.
    :param code: the vendor's code, exactly as sent; an empty one is unknown.
    """
    if vendor == "tencent":
        return _TENCENT.get(code) or _family(code, _TENCENT_FAMILIES, ".")
    if "Throttling" in code:
        return Class.THROTTLED
    return _ALIBABA.get(code) or _family(code, _ALIBABA_FAMILIES, "")


def _family(code: str, families: tuple[tuple[str, Class], ...], separator: str) -> Class:
    for prefix, found in families:
        if code == prefix or code.startswith(prefix + separator):
            return found
    return Class.UNKNOWN
