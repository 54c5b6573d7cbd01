"""A DMS tenant in this process, answer by answer: what discovery, re-reading and verification are asked to read."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import httpx

from rescind.cloud.clients import DmsClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.model import Grant
from rescind.systems import system_named
from rescind.systems.dms.surfaces import SURFACES
from rescind.systems.effective import EffectiveAccess, access_around
from rescind.systems.population import Population
from rescind.systems.surfaces import PlatformAnswer, unasked
from tests.support.ledger.pacing import FreePacer
from tests.support.sink import Lists

DMS = system_named("dms_permissions")
ANN, BOB = "51001", "51002"
UID = {ANN: "1968000000000001", BOB: "1968000000000002"}
Answers = dict[str, Any]
REFUSED = {"Code": "NoPermission", "Message": "no", "HttpStatus": 403}


def user(ident: str, *roles: str, **fields: Any) -> Answers:
    names = {"RoleNameList": {"RoleNames": ["USER", *roles]}}
    return {"UserId": ident, "Uid": UID[ident], "State": "NORMAL", **names, **fields}


def users(*rows: Answers) -> Answers:
    return {"UserList": {"User": list(rows)}, "TotalCount": len(rows)}


def instances(**fields: Any) -> Answers:
    one = {"InstanceId": "17", "StandardGroup": {"GroupMode": "COMMON"}, **fields}
    return {"InstanceList": {"Instance": [one]}, "TotalCount": 1}


def databases(**fields: Any) -> Answers:
    return {"DatabaseList": {"Database": [{"DatabaseId": "88", "InstanceId": "17", **fields}]}, "TotalCount": 1}


def logical(**fields: Any) -> Answers:
    one = {"DatabaseId": "99", "Logic": True, "DatabaseIds": {"DatabaseIds": [88]}, **fields}
    return {"LogicDatabaseList": {"LogicDatabase": [one]}, "TotalCount": 1}


def accesses(**fields: Any) -> Answers:
    return {"ProxyAccessList": [{"ProxyAccessId": 7, "ProxyId": 5, "InstanceId": 17, **fields}]}


def records(*rows: Answers) -> Answers:
    return {"UserPermissions": {"UserPermission": list(rows)}, "TotalCount": len(rows)}


def record(user_id: str, ds_type: str, **fields: Any) -> Answers:
    detail = {"UserAccessId": f"9{user_id}", "PermType": "QUERY", "ExpireDate": "2031-01-01 00:00:00"}
    facts = {"UserId": user_id, "DsType": ds_type, "InstanceId": "17", "DbId": "88", "Logic": False, **fields}
    return {**facts, "PermDetails": {"PermDetail": [detail]}}


TABLE = {"TableId": "7", "TableName": "orders"}
OWNED_BY_ANN = {"OwnerIdList": {"OwnerIds": [ANN]}, "OwnerNameList": {"OwnerNames": ["Ann"]}}


def permissions(sent: Mapping[str, str]) -> Answers:
    """Ann and Bob hold QUERY on a table and on a logical table."""
    if sent["PermType"] != "TABLE":
        return records()
    if sent["Logic"] == "true":
        fields = {"DbId": "99", "Logic": True, "InstanceId": None, "TableId": "70", "TableName": "all"}
        return records(*(record(who, "LOGIC_TABLE", **fields) for who in (ANN, BOB)))
    return records(*(record(who, "TABLE", **TABLE) for who in (ANN, BOB)))


def nobody_owns(sent: Mapping[str, str]) -> Answers:
    return {"Data": {"resourceList": []}}


def owns(who: str, kind: str, **row: Any) -> Answers:
    def answer(sent: Mapping[str, str]) -> Answers:
        mine = (sent["UserId"], sent["OwnerType"]) == (who, kind)
        return {"Data": {"resourceList": [row] if mine else []}}

    return {"ListUserOwnedResources": answer}


QUIET: Answers = {
    "ListUsers": users(user(ANN), user(BOB)),
    "GetUser": lambda sent: {"User": user(sent["UserId"])},
    "ListInstances": instances(),
    "ListDatabases": databases(),
    "ListLogicDatabases": logical(),
    "ListProxies": {"ProxyList": [{"ProxyId": 5, "InstanceId": 17}]},
    "ListProxyAccesses": {"ProxyAccessList": []},
    "ListInstanceUserPermissions": records(),
    "ListDatabaseUserPermssions": permissions,
    "ListAuthorizedInstancesForUser": {"Instances": []},
    "ListAuthorizedDatabasesForUser": {"Databases": []},
    "ListUserOwnedResources": nobody_owns,
}
"""A tenant in which nobody has any other way in."""


def client(answers: Answers) -> DmsClient:
    """A client of a cloud with these answers over :data:`QUIET`; a paged listing ends after its first page."""
    known, numbers = {**QUIET, **answers}, itertools.count(1)

    def network(request: httpx.Request) -> httpx.Response:
        sent = dict(request.url.params)
        given = known[request.headers["x-acs-action"]]
        body = dict(given(sent) if callable(given) else given)
        status = body.pop("HttpStatus", 200)
        untotaled = "TotalCount" not in body and "Code" not in body and sent.get("PageNumber", "1") != "1"
        if untotaled:
            body = {name: [] for name in body} if "Data" not in body else {"Data": {"resourceList": []}}
        envelope = {"RequestId": f"r-{next(numbers)}", **({} if "Code" in body else {"Success": True})}
        return httpx.Response(status, json={**envelope, **body})

    async def no_sleep(seconds: float) -> None:
        return None

    settings = ClientSettings.from_fields("dms", {"login": "AKID01", "password": "secret-01", "tid": "3001"})
    return DmsClient(settings, transport=httpx.MockTransport(network), pacer=FreePacer(), sleep=no_sleep)


class Seen:
    """What a discovery found, and what remains for a holder of a record once that record is gone."""

    def __init__(self, answers: Answers) -> None:
        self.sink = Lists()
        self.found = Population(self.sink)
        asyncio.run(DMS.discover(client(answers), self.found))

    def grant(self, who: str = ANN, kind: str = "table") -> Grant:
        return next(g for g in self.sink.grants if (g.key.principal_id, g.key.resource_type) == (who, kind))

    @property
    def fixed(self) -> list[Grant]:
        return [grant for grant in self.sink.grants if not grant.revocable]

    def unanswered(self) -> dict[str, str]:
        return unasked(SURFACES, self.found.surfaces)

    def access(self, who: str = ANN, kind: str = "table", answer: PlatformAnswer | None = None) -> tuple[Any, Any]:
        """(paths, surfaces that stay unanswered) of the holder whose record is gone."""
        gone = self.grant(who, kind)
        rest = [grant for grant in self.sink.grants if grant.key != gone.key]
        remaining = access_around(DMS, [gone], rest, self.sink.memberships)
        found = EffectiveAccess(remaining, answer or PlatformAnswer(), self.unanswered(), self.found.gaps).of(gone)
        return list(found.paths), dict(found.unanswered)


def asked(answers: Answers, *grants: Grant) -> PlatformAnswer:
    """Both questions about the same grants, as verification asks them."""
    answer = asyncio.run(DMS.ask_platform(client(answers), grants))
    answer.join(asyncio.run(DMS.ask_objects(client(answers), grants)))
    return answer
