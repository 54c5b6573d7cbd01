"""Secure access proxies and their accounts."""

from __future__ import annotations

from typing import Any

from emulator.dms import DMS
from emulator.dms.common import caller, failure, optional_list
from emulator.registry import Call
from emulator.store.dms import Proxy, ProxyAccess


def _find(call: Call, proxy_id: int) -> Proxy:
    caller(call)
    proxy = call.world.dms.proxies.get(proxy_id)
    if proxy is None:
        raise failure(call, "InvalidParameterValid", "The proxy does not exist.", 400)
    return proxy


@DMS.action("ListProxies", "Tid:int")
def list_proxies(call: Call) -> dict[str, Any]:
    """All proxies of the tenant, without paging."""
    caller(call)
    store, answer = call.world.dms, dict[str, Any]()
    optional_list(call, answer, "ProxyList", [
        {"ProxyId": proxy.proxy_id, "InstanceId": proxy.instance_id, "CreatorId": int(proxy.creator),
         "CreatorName": store.users[proxy.creator].nick if proxy.creator in store.users else "",
         "HttpsPort": 8443, "ProtocolPort": 3306, "ProtocolType": "MYSQL", "PrivateEnable": True,
         "PrivateHost": f"proxy-{proxy.proxy_id}.internal.example.com", "PublicEnable": False, "PublicHost": "",
         "RegionId": "cn-hangzhou"}
        for proxy in store.proxies.values()
    ])  # fmt: skip
    return answer


def _row(call: Call, access: ProxyAccess) -> dict[str, Any]:
    store = call.world.dms
    user = store.users.get(access.user_id)
    return {
        "ProxyAccessId": access.access_id, "ProxyId": access.proxy_id, "UserId": int(access.user_id),
        "InstanceId": store.proxies[access.proxy_id].instance_id, "AccessId": f"acc{access.access_id:010d}",
        "IndepAccount": access.account, "OriginInfo": access.origin, "GmtCreate": access.created,
        "UserName": user.nick if user else "", "UserUid": user.uid if user else "",
    }  # fmt: skip


@DMS.action("ListProxyAccesses", "Tid:int ProxyId!:int")
def list_accesses(call: Call) -> dict[str, Any]:
    """Users that may use a proxy, without paging."""
    answer: dict[str, Any] = {}
    proxy = _find(call, call.params["ProxyId"])
    rows = [_row(call, access) for access in call.world.dms.listed_accesses(proxy)]
    optional_list(call, answer, "ProxyAccessList", rows)
    return answer


def _access(call: Call) -> ProxyAccess:
    caller(call)
    for proxy in call.world.dms.proxies.values():
        if call.params["ProxyAccessId"] in proxy.accesses:
            return proxy.accesses[call.params["ProxyAccessId"]]
    raise failure(call, "InvalidParameterValid", "The proxy access does not exist.", 400)


@DMS.action("GetProxyAccess", "Tid:int ProxyAccessId!:int")
def get_access(call: Call) -> dict[str, Any]:
    """One proxy account."""
    return {"ProxyAccess": _row(call, _access(call))}


@DMS.action("CreateProxyAccess", "Tid:int ProxyId!:int UserId!:int IndepAccount IndepPassword", write=True)
def create_access(call: Call) -> dict[str, Any]:
    """Open a proxy account for a user; a database account of its own needs its password."""
    proxy, user_id = _find(call, call.params["ProxyId"]), call.text("UserId")
    if user_id not in call.world.dms.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    if call.text("IndepAccount") and not call.text("IndepPassword"):
        raise failure(call, "MissingIndepPassword", "IndepPassword is mandatory with IndepAccount.", 400)
    again = call.world.modes["dms_second_proxy_access"]
    held = [access for access in proxy.accesses.values() if access.user_id == user_id]
    if held and again == "refused":
        raise failure(call, "InvalidParameterValid", "The user has access to the proxy already.", 400)
    if held and again == "same":
        return {"ProxyAccessId": held[0].access_id}
    access = call.world.dms.access(proxy.proxy_id, user_id, call.text("IndepAccount"), call.world.today,
                                   "Granted by administrator")  # fmt: skip
    return {"ProxyAccessId": access.access_id}


@DMS.action("DeleteProxyAccess", "Tid:int ProxyAccessId!:int", write=True)
def delete_access(call: Call) -> dict[str, Any]:
    """Close a proxy account; an unknown id is refused, or nothing happens, by mode."""
    if call.world.modes["dms_absent_proxy_access"] == "success":
        caller(call)
        call.world.dms.close_access(call.params["ProxyAccessId"])
        return {}
    call.world.dms.close_access(_access(call).access_id)
    return {}
