"""Authorizations of works, datasets and data sources (the vendor's "collaborative authorization")."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import check_caller, failure, receiver_name
from emulator.registry import Call
from emulator.store.authorizations import PERMANENT, POINTS, WorkAuthorization, day_starts
from emulator.store.receivers import GROUP, ORGANIZATION, USER, WORKSPACE, Receiver

_KINDS = {
    "dashboard": "PAGE", "report": "REPORT", "dashboardOfflineQuery": "dashboardOfflineQuery", "screen": "SCREEN",
    "ANALYSIS": "ANALYSIS", "dataForm": "DATAFORM",
}  # fmt: skip
"""Types of these actions to types of works; portals are none of them."""
_FOR_USERS_ONLY = {"cube": "Cube.Not.Exist", "datasource": "Datasource.NotFound.Error"}
_DAY = 86_400_000


def _check_resource(call: Call, kind: str, ident: str) -> None:
    """Refuse a resource that does not exist or is of another type.

    :raises ApiError: Invalid.Parameter.Error, Cube.Not.Exist, Datasource.NotFound.Error, Report.NotExist.Error.
    """
    check_caller(call)
    if kind == "cube" and ident in call.world.quickbi.datasets:
        return
    if kind in _FOR_USERS_ONLY:
        raise failure(call, _FOR_USERS_ONLY[kind], f"The {kind} does not exist: {ident}.")
    if kind not in _KINDS:
        raise failure(call, "Invalid.Parameter.Error", f"The parameter is invalid:{kind}.")
    work = call.world.quickbi.works.get(ident)
    if work is None or work.kind != _KINDS[kind]:
        raise failure(call, "Report.NotExist.Error", f"This work does not exist. Work ID is {ident}.")


def _end(call: Call, record: WorkAuthorization) -> str | None:
    if record.expires < PERMANENT:
        return str(record.expires)
    return {"far": str(PERMANENT), "empty": "", "null": None}[call.world.modes["quickbi_permanent_end"]]


@QUICKBI.action("ListAuthConfigByResource", "HasAuth!:bool Keyword ResourceId! ShareToType!:int WorksType!")
def auth_config(call: Call) -> list[dict[str, Any]]:
    """Records of one resource: type 0 gives users, organization and workspaces, type 1 groups. No paging.

    Expired records are not listed, unless the mode says so or records without rights are asked for.
    """
    _check_resource(call, call.text("WorksType"), call.text("ResourceId"))
    every = not call.params["HasAuth"] or call.world.modes["quickbi_expired_authorizations"] == "listed"
    now = 0.0 if every else call.world.clock.now() * 1000
    groups = call.params["ShareToType"] == GROUP
    return [
        {"ResourceId": item.resource_id, "ResourceType": item.resource_type, "Scope": item.receiver.kind,
         "AuthorizedId": item.receiver.id, "AuthorizedName": receiver_name(call, item.receiver),
         "Authorities": list(POINTS[item.points]), "ExpireDate": _end(call, item), "GmtCreate": item.created}
        for item in call.world.quickbi.authorizations.listed(call.text("ResourceId"))
        if (item.receiver.kind == GROUP) == groups and item.expires > now
        and call.text("Keyword") in receiver_name(call, item.receiver)
    ]  # fmt: skip


def _authorized(call: Call) -> Receiver:
    """The receiver of a new record.

    :raises ApiError: Invalid.Parameter.Error for an unknown kind or id, or a kind that the resource does not take.
    """
    kind, ident, store = call.params["AuthorizeScope"], call.text("AuthorizedId"), call.world.quickbi
    known: dict[int, Any] = {
        USER: store.users, GROUP: store.groups, ORGANIZATION: {store.organization_id}, WORKSPACE: store.workspaces,
    }  # fmt: skip
    if kind not in known or (kind != USER and call.text("ResourceType") in _FOR_USERS_ONLY):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:AuthorizeScope.")
    if ident not in known[kind]:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:AuthorizedId.")
    return Receiver(kind, ident)


def _expires(call: Call) -> int:
    """The end of a new record. Edit is permanent, and its day is ignored.

    :raises ApiError: Invalid.Parameter.Error without a day, or with one that is over within a day.
    """
    if call.params["AuthPoints"] == 11:
        return PERMANENT
    try:
        end = day_starts(call.text("ExpireDay"))
    except ValueError:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ExpireDay.") from None
    if call.world.modes["quickbi_expire_day"] == "end":
        end += _DAY
    if end <= call.world.clock.now() * 1000:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ExpireDay.")
    return end


@QUICKBI.action(
    "AddWorksAuthorization",
    "AuthPoints!:int AuthorizeScope!:int AuthorizedId! ExpireDay ResourceId! ResourceType!",
    write=True,
)
def add_authorization(call: Call) -> str:
    """Authorize until a day; the record of the same receiver is replaced, or stays beside the new one, by mode."""
    ident = call.text("ResourceId")
    _check_resource(call, call.text("ResourceType"), ident)
    if call.params["AuthPoints"] not in POINTS:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:AuthPoints.")
    receiver, expires, store = _authorized(call), _expires(call), call.world.quickbi
    if call.world.modes["quickbi_authorize_again"] == "replace":
        store.authorizations.remove(receiver, ident)
    number = f"auth-{len(call.world.journal) + 1:08d}"
    store.authorizations.add(
        WorkAuthorization(
            number, ident, call.text("ResourceType"), receiver, call.params["AuthPoints"], expires, call.world.today
        )
    )
    return number


def _check_own(call: Call, user: Receiver, ident: str) -> None:
    """Refuse while a workspace or group has a record that reaches the user.

    :raises ApiError: DeletePermission.ExistWorkspaceRecord.Error, DeletePermission.UserBelongsToUsergroup.Error.
    """
    store = call.world.quickbi
    mine, held = store.identities(user.id, subgroups=True), store.authorizations.of(ident)
    if user in {one.receiver for one in held} and call.world.modes["quickbi_delete_inherited"] == "own_record":
        return
    for one in held:
        if one.receiver in mine and one.receiver.kind == WORKSPACE:
            raise failure(call, "DeletePermission.ExistWorkspaceRecord.Error",
                          "cannot be deleted because there is already an workspace authorization record.")  # fmt: skip
        if one.receiver in mine and one.receiver.kind == GROUP:
            raise failure(call, "DeletePermission.UserBelongsToUsergroup.Error",
                          "cannot be deleted because user belongs to usergroup: "
                          f"{receiver_name(call, one.receiver)}.")  # fmt: skip


@QUICKBI.action("DeleteAuthorizationByUserId", "QbiUserId! ResourceId! ResourceType!", write=True)
def delete_authorization(call: Call) -> bool:
    """Take every record of a user on one resource, whatever its level; shares go with them by mode only."""
    store, modes, ident = call.world.quickbi, call.world.modes, call.text("ResourceId")
    _check_resource(call, call.text("ResourceType"), ident)
    user = Receiver(USER, call.text("QbiUserId"))
    if user.id not in store.users:
        raise failure(call, "Invalid.User.Organization", "The user is not in your organization.")
    _check_own(call, user, ident)
    gone = store.authorizations.remove(user, ident)
    if modes["quickbi_delete_shares"] == "removed":
        shares = [one.share_id for one in store.shares.values() if (one.works_id, one.receiver) == (ident, user)]
        gone += sum(store.unshare(share) for share in shares)
    if not gone and modes["quickbi_absent_authorization"] == "refused":
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:QbiUserId.")
    return True
