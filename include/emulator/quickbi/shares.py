"""Shares of works with an end."""

from __future__ import annotations

from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import failure, find_group, find_user, find_work, receiver_name
from emulator.registry import Call
from emulator.store.quickbi import Portal, Share
from emulator.store.receivers import GROUP, ORGANIZATION, USER, Receiver

_TYPES = {"DATAPRODUCT": "dataProduct", "PAGE": "dashboard"}


@QUICKBI.action("QueryShareList", "ReportId!")
def share_list(call: Call) -> list[dict[str, Any]] | None:
    """Shares of one work that are in force; an expired one is not listed, unless the mode says so. No paging."""
    work = find_work(call, call.text("ReportId"))
    works_id = call.text("ReportId")
    kind = _TYPES["DATAPRODUCT" if isinstance(work, Portal) else work.kind]
    now = 0.0 if call.world.modes["quickbi_expired_shares"] == "listed" else call.world.clock.now() * 1000
    rows = [
        {"ShareId": share.share_id, "ReportId": works_id, "ShareType": kind, "ShareToType": share.receiver.kind,
         "ShareToId": share.receiver.id, "ShareToName": receiver_name(call, share.receiver), "AuthPoint": share.points,
         "ExpireDate": share.expires}
        for share in call.world.quickbi.listed_shares(works_id)
        if share.expires > now
    ]  # fmt: skip
    return None if not rows and call.world.modes["quickbi_empty_shares"] == "null" else rows


def _receiver(call: Call, kind: int, ident: str) -> Receiver:
    """The receiver of a share.

    :raises ApiError: for an unknown user, group or kind.
    """
    if kind == USER:
        return Receiver(USER, find_user(call, ident).user_id)
    if kind == GROUP:
        return Receiver(GROUP, find_group(call, ident).group_id)
    if kind == ORGANIZATION:
        return Receiver(ORGANIZATION, call.world.quickbi.organization_id)
    raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ShareToType.")


@QUICKBI.action("AddShareReport", "AuthPoint!:int ExpireDate!:int ShareToId ShareToType!:int WorksId!", write=True)
def add_share(call: Call) -> bool:
    """Share a work until a moment (epoch milliseconds); one of the same receiver is replaced, or stays, by mode."""
    find_work(call, call.text("WorksId"))
    store, receiver = call.world.quickbi, _receiver(call, call.params["ShareToType"], call.text("ShareToId"))
    if call.params["AuthPoint"] not in (1, 3):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:AuthPoint.")
    share_id = f"share-{len(call.world.journal) + 1:08d}"
    if call.world.modes["quickbi_share_again"] == "replace":
        place = (call.text("WorksId"), receiver)
        held = (share.share_id for share in store.shares.values() if (share.works_id, share.receiver) == place)
        share_id = next(held, share_id)
        store.unshare(share_id)
    store.share(Share(share_id, call.text("WorksId"), receiver, call.params["AuthPoint"], call.params["ExpireDate"]))
    return True


@QUICKBI.action("CancelReportShare", "ReportId! ShareToIds! ShareToType!:int", write=True)
def cancel_share(call: Call) -> bool:
    """Take shares of one work back, by receiver; an absent share is skipped, an unknown receiver too, by mode.

    Whether the text is one id or a comma list is open: taken as one id, a list names nobody.
    """
    find_work(call, call.text("ReportId"))
    store, modes, kind = call.world.quickbi, call.world.modes, call.params["ShareToType"]
    if kind not in (USER, GROUP, ORGANIZATION):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ShareToType.")
    ids = call.text("ShareToIds").split(",") if modes["quickbi_share_ids"] == "list" else [call.text("ShareToIds")]
    wanted = {Receiver(kind, ident) for ident in ids}
    if modes["quickbi_cancel_receivers"] == "checked" and kind in (USER, GROUP):
        wanted = {_receiver(call, kind, ident) for ident in ids}
    found = [share for share in store.shares.values()
             if share.works_id == call.text("ReportId") and share.receiver in wanted]  # fmt: skip
    if modes["quickbi_absent_share"] == "refused" and wanted - {share.receiver for share in found}:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ShareToIds.")
    for share in found:
        store.unshare(share.share_id)
    return True
