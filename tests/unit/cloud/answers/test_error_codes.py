from __future__ import annotations

import pytest

from rescind.cloud.answers.error_codes import Class, meaning

TENCENT = {
    Class.THROTTLED: "RequestLimitExceeded RequestLimitExceeded.UinLimitExceeded "
    "RequestLimitExceeded.IPLimitExceeded RequestLimitExceeded.GlobalRegionUinLimitExceeded "
    "RequestLimitExceeded.SomethingNew",
    Class.CLOCK: "AuthFailure.SignatureExpire",
    Class.TOKEN: "AuthFailure.TokenFailure",
    Class.UNAUTHORIZED: "AuthFailure AuthFailure.SignatureFailure AuthFailure.SecretIdNotFound "
    "AuthFailure.InvalidSecretId AuthFailure.MFAFailure AuthFailure.UnauthorizedOperation "
    "UnauthorizedOperation UnauthorizedOperation.UserNotInProject OperationDenied "
    "OperationDenied.UserNotInWhitelistError IpNotInWhitelist IpInBlacklist "
    "InvalidParameter.ClientIpNotAuthorized",
    Class.NOT_FOUND: "ResourceNotFound ResourceNotFound.ResultExpired InvalidParameter.WorkspaceNotExist",
    Class.AMBIGUOUS: "FailedOperation FailedOperation.ExecutorClusterStatusError InternalError "
    "InternalError.UnknownError ResourceUnavailable InvalidParameter.ServiceIsBusy "
    "ResponseSizeLimitExceeded",
    Class.REFUSED: "InternalError.InvalidParameter InvalidParameter InvalidParameter.RuleNotExist "
    "InvalidParameterValue InvalidParameterValue.ParamIllegalError MissingParameter "
    "UnknownParameter UnsupportedOperation InvalidAction LimitExceeded ResourceInUse "
    "ActionOffline NoSuchVersion RequestSizeLimitExceeded",
    Class.UNKNOWN: "Throttling BrandNewCode requestlimitexceeded RequestLimitExceededX LimitExceededX",
}
ALIBABA = {
    Class.THROTTLED: "Throttling Throttling.User Throttling.Api Rejected.Throttling",
    Class.CLOCK: "InvalidTimeStamp.Expired InvalidTimeStamp.Format IllegalTimestamp",
    Class.TOKEN: "InvalidSecurityToken.Expired",
    Class.NONCE: "SignatureNonceUsed",
    Class.UNAUTHORIZED: "SignatureDoesNotMatch IncompleteSignature InvalidAccessKeyId.NotFound "
    "InvalidAccessKeyId.Inactive InvalidSecurityToken.MismatchWithAccessKey MissingSecurityToken "
    "Forbidden Forbidden.RAM Forbidden.RiskControl NoPermission ActionUnauthorized UserNotExist "
    "UserStatusIllegal TenantNotExist TenantExpired Access.Forbidden Instance.Expired "
    "Instance.Not.Exist Invalid.Organization InsufficientBalance Invalid.User.Admin Not.ApiCall.AuthUser "
    "ApiUser.Not.Exists",
    Class.NOT_FOUND: "User.NotBelongTo.CurrentOrganization Usergroup.NotBelongTo.CurrentOrganization "
    "Menu.NotBelongTo.CurrentDataportal User.Not.In.Organization Report.NotExist.Error "
    "WorkspaceNotExist Application.Object.NotExist Cube.Not.Exist Datasource.NotFound.Error Invalid.User "
    "Invalid.User.Organization Invalid.Workspace Resource.NotBelongTo.CurrentOrganization User.NotIn.Workspace "
    "UserGroup.NotIn.Organization Usergroup.Not.Exist Workspace.Not.Exist",
    Class.AMBIGUOUS: "InternalError UnknownError ServiceUnavailable Internal.System.Error",
    Class.REFUSED: "MissingUserId MissingParameter InvalidParameter InvalidParameterValid Invalid.Parameter "
    "Invalid.Parameter.Error AccessMenu.NotMatch.Portal FolderMenu.CanNot.Authorize NotSupportYet "
    "InvalidApi.NotFound UnsupportedHTTPMethod System.Param.empty System.Param.Empty Invalid.Param.Error "
    "NoPermissionTo.Operate.Object User.Not.WorkspaceAdmin CannotRemove.OrganizationOwner "
    "DeletePermission.ExistWorkspaceRecord.Error DeletePermission.UserBelongsToUsergroup.Error User.Duplicative "
    "Member.ExistInWorkspace.Error CanNot.Remove.WorkspaceOwner Share.ExpireDate.Error User.Role.NotExist "
    "Parameter.Length.Exceed Workspace.Type.Error Viewer.AddInTo.Workspace Works.Transfer.Error",
    Class.UNKNOWN: "BrandNewCode RequestLimitExceeded throttling",
}
CASES = [
    (vendor, code, kind)
    for vendor, table in (("tencent", TENCENT), ("alibaba", ALIBABA))
    for kind, codes in table.items()
    for code in codes.split()
]


@pytest.mark.parametrize(("vendor", "code", "kind"), CASES)
def test_meaning(vendor: str, code: str, kind: Class) -> None:
    assert meaning(vendor, code) is kind


def test_no_code_is_unknown() -> None:
    assert meaning("tencent", "") is meaning("alibaba", "") is Class.UNKNOWN


def test_codes_of_one_bad_id_are_known_codes() -> None:
    codes = (
        "AccessMenu.NotMatch.Portal FolderMenu.CanNot.Authorize Menu.NotBelongTo.CurrentDataportal "
        "User.Not.In.Organization User.NotBelongTo.CurrentOrganization Usergroup.NotBelongTo.CurrentOrganization"
    )
    assert {meaning("alibaba", code) for code in codes.split()} == {Class.NOT_FOUND, Class.REFUSED}
