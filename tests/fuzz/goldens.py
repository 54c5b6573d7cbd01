"""Answers of the emulator to every message, page by page, with what is needed to judge them again.

The clients talk to an emulator in this process without sockets; its organization and clock are fixed and the request
ids are replaced by counted ones, so that a case can be made again from its number.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx

from emulator.app import App, Settings
from emulator.build.sizes import TINY
from emulator.clock import ManualClock
from emulator.gateway.wire import Request as Wire
from rescind.cloud.base import ListRequest, Prepared, Request
from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.errors import CloudError
from tests.contract.messages import client_settings, messages
from tests.contract.picks import READS, some_grant, some_node, some_portal, some_record, some_source
from tests.support.ledger.pacing import FreePacer

KEYS = {
    "wedata": ("AKIDDEMO0000000000000000000000001", "tencent-demo-secret-1"),
    "dms": ("LTAIDEMO00000000000001", "alibaba-demo-secret-1"),
}
PAGE_SIZE = 3
MOST_PAGES = 5
_REQUEST_ID = re.compile(rb'("[Rr]equestId":\s*")[0-9A-Fa-f-]{36}(")')


@dataclass(frozen=True)
class Sent:
    """One answered request."""

    prepared: Prepared[Any]
    status: int
    body: bytes


@dataclass(frozen=True)
class Golden:
    """One message and the emulator's answer, all pages of it for a listing.

    :param name: product, action and variant.
    :param pages: one for everything but listings in pages.
    """

    name: str
    product: str
    message: Request[Any]
    pages: tuple[Sent, ...]
    truth: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def action(self) -> str:
        """The vendor's action."""
        return self.message.action


class _Line:
    """A client's network: the emulator's handler, and a record of what went through."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.sent: list[tuple[int, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        wire = Wire(request.method, request.url.path, request.url.query.decode("ascii"), headers, request.content)
        answer = self.app.handle(wire)
        self.sent.append((answer.status, answer.body))
        return httpx.Response(answer.status, content=answer.body, headers=answer.headers)


def _app(modes: dict[str, str]) -> App:
    free = {"wedata": 0.0, "dms": 0.0, "quickbi": 0.0, "tencent-sts": 0.0, "alibaba-sts": 0.0}
    return App(Settings(sizes=TINY, limits=free, modes=modes), ManualClock())


def _exchange(app: App, product: str, requests: list[Request[Any]]) -> list[Sent]:
    """Send requests one after the other; answers are recorded whatever they say."""
    line, sent = _Line(app), []

    async def run(client: CloudClient) -> None:
        async with client:
            for request in requests:
                prepared = client.prepare(request)
                with contextlib.suppress(CloudError):
                    await client.dispatch(prepared)
                sent.append(Sent(prepared, *line.sent[-1]))

    vendor = "wedata" if product in ("wedata", "tencent-sts") else "dms"
    chosen = client_settings(product, *KEYS[vendor])
    made = client_class(chosen)(
        chosen, pacer=FreePacer(), transport=httpx.MockTransport(line), clock=app.world.clock.now
    )
    asyncio.run(run(made))
    return sent


def _message(pair: tuple[str, str], app: App) -> Request[Any]:
    kind = messages()[pair]
    given: dict[str, Any] = {}
    for name, value in READS[pair](app.world).items():
        if name in kind.model_fields and not name.startswith("Page"):
            nested = isinstance(value, dict)
            plain = isinstance(value, bool | list) or name == "DurationSeconds"
            given[name] = kind.model_fields[name].annotation(**value) if nested else value if plain else str(value)  # type: ignore[misc]
    return kind(**given)


def _pages(message: Request[Any]) -> list[Request[Any]]:
    if isinstance(message, ListRequest) and message.page_field:
        return [message.at_page(number, PAGE_SIZE) for number in range(1, MOST_PAGES + 1)]
    return [message]


def _called(message: Request[Any]) -> str:
    """The action, and what it does where one action gives and takes."""
    does = getattr(message, "OperateType", "")
    return f"{message.action}-{does}" if does else message.action


def _golden(app: App, name: str, product: str, message: Request[Any]) -> Golden:
    return Golden(name, product, message, tuple(_exchange(app, product, _pages(message))))


def _write_messages(app: App) -> Iterator[tuple[str, Request[Any]]]:
    kinds = {action: kind for (_, action), kind in messages().items() if kind.write}
    world, grant, source, record = app.world, some_grant(app.world), some_source(app.world), some_record(app.world)
    from rescind.cloud.wedata import data_sources, privileges

    tables = [row for row in world.privileges.rows() if row["resource_type"] == "Table"]
    uris = list(dict.fromkeys(row["resource_uri"] for row in tables))[:3]
    for action in ("RevokePrivileges", "AuthorizePrivileges"):
        yield (
            "wedata",
            kinds[action](
                Resources=[privileges.PrivilegeResource(ResourceType="Table", ResourceUri=uri) for uri in uris],
                Subjects=[privileges.Subject(SubjectType="User", SubjectValues=[grant["subject_value"]])],
                Privileges=[privileges.Privilege(Name="SELECT_TABLE")],
            ),
        )
    where, project = str(source.source_id), next(iter(world.projects))
    yield (
        "wedata",
        kinds["RevokeDataSourceAuthorization"](
            DataSourceId=where, target=data_sources.FromUser(project_id=project, user_id="700099990001")
        ),
    )
    yield (
        "wedata",
        kinds["AuthorizeDataSource"](
            DataSourceId=where, target=data_sources.ToProject(project_id=project, whole_project=True)
        ),
    )
    member = {"ProjectId": project, "UserUin": "100099990001"}
    role = {"RoleIds": [next(iter(world.projects[project].roles))]}
    one_user = {"ProjectId": project, "UserUins": [member["UserUin"]]}
    yield "wedata", kinds["CreateProjectMember"](**one_user, **role)
    yield "wedata", kinds["GrantMemberProjectRole"](**member, **role)
    yield "wedata", kinds["RemoveMemberProjectRole"](**member, **role)
    yield "wedata", kinds["DeleteProjectMember"](**one_user)
    code, flow = some_node(world), some_node(world, "workflow", "workflow")
    who = {"SubjectType": "user", "SubjectId": "700099990001"}
    script = {"ProjectId": code.project_id, "ResourceType": "folder", "ResourceId": code.node_id, **who}
    job = {"ProjectId": flow.project_id, "EntityType": "workflow", "EntityId": flow.node_id, **who}
    yield "wedata", kinds["CreateCodePermissions"](**script, Privileges=["CAN_VIEW"])
    yield "wedata", kinds["DeleteCodePermissions"](**script, Privileges=["CAN_VIEW"])
    yield "wedata", kinds["CreateWorkflowPermissions"](**job, Privileges=["CAN_MANAGE"])
    yield "wedata", kinds["DeleteWorkflowPermissions"](**job, Privileges=["CAN_MANAGE"])
    place = {"DsType": "DATABASE", "DbId": str(record.target.db_id), "Logic": False, "PermTypes": record.perm}
    yield "dms", kinds["GrantUserPermission"](UserId=record.user_id, ExpireDate="2099-12-31 00:00:00", **place)
    yield "dms", kinds["RevokeUserPermission"](UserId=record.user_id, UserAccessId=str(record.access_id), **place)
    account = {"Uid": next(iter(world.dms.by_uid)), "Tid": str(world.dms.tenant_id)}
    yield "dms", kinds["EnableUser"](**account)
    yield "dms", kinds["DisableUser"](**account)
    proxy = next(iter(world.dms.proxies.values()))
    tid = {"Tid": str(world.dms.tenant_id)}
    yield "dms", kinds["CreateProxyAccess"](ProxyId=str(proxy.proxy_id), UserId=next(iter(world.dms.users)), **tid)
    yield "dms", kinds["DeleteProxyAccess"](ProxyAccessId=str(next(iter(proxy.accesses), 7)), **tid)
    policy = world.dms.policies[0]
    whom = {"IdentityType": "USER", "PolicyId": str(policy.policy_id), "UserId": next(iter(world.dms.users))}
    yield "dms", kinds["CreateAbacAuthorization"](**whom, **tid)
    yield "dms", kinds["DeleteAbacAuthorization"](AuthorizationId="7", IdentityType="USER", **tid)
    menus = {"DataPortalId": some_portal(world).portal_id}
    menus |= {"MenuIds": [menu.menu_id for menu in some_portal(world).leaves()][:2]}
    users = {"UserIds": list(world.quickbi.users)[:2], "UserGroupIds": list(world.quickbi.groups)[:1]}
    yield "quickbi", kinds["AuthorizeMenu"](AuthPointsValue=1, **menus, **users)
    yield "quickbi", kinds["CancelAuthorizationMenu"](**menus, **users)
    one = {"UserId": users["UserIds"][0], "UserGroupIds": users["UserGroupIds"]}
    yield "quickbi", kinds["AddUserGroupMembers"](**one)
    yield "quickbi", kinds["DeleteUserGroupMembers"](**one)
    space = {"UserId": users["UserIds"][0], "WorkspaceId": next(iter(world.quickbi.workspaces))}
    yield "quickbi", kinds["AddUserToWorkspace"](**space, RoleId=30)
    yield "quickbi", kinds["DeleteUserFromWorkspace"](**space)
    work, receiver = menus["DataPortalId"], users["UserIds"][0]
    added = {"WorksId": work, "ShareToId": receiver, "AuthPoint": 1, "ExpireDate": 4_000_000_000_000}
    yield "quickbi", kinds["AddShareReport"](ShareToType=0, **added)
    yield "quickbi", kinds["CancelReportShare"](ReportId=work, ShareToType=0, ShareToIds=receiver)
    asked = READS["quickbi", "ListAuthConfigByResource"](world)
    user = {"ResourceId": asked["ResourceId"], "ResourceType": asked["WorksType"]}
    ends = {"AuthPoints": 3, "ExpireDay": "2099-12-31"}
    yield "quickbi", kinds["AddWorksAuthorization"](AuthorizedId=receiver, **user, **ends)
    yield "quickbi", kinds["DeleteAuthorizationByUserId"](QbiUserId=receiver, **user)
    entry = {"TargetType": "1", "TargetIds": (receiver,), **READS["quickbi", "ListDataLevelPermissionWhiteList"](world)}
    yield "quickbi", kinds["AddDataLevelPermissionWhiteList"](OperateType="ADD", **entry)
    yield "quickbi", kinds["AddDataLevelPermissionWhiteList"](OperateType="DELETE", **entry)


_VARIANTS: dict[str, dict[str, str]] = {
    "plain": {},
    "other": {
        "wedata_rows": "grouped",
        "wedata_absent_revoke": "false",
        "dms_error_style": "body",
        "dms_success_noise": "on",
        "quickbi_spelling": "strings",
        "alibaba_error_keys": "camel",
    },
}


def _made() -> Iterator[Golden]:
    for variant, modes in _VARIANTS.items():
        for pair, kind in messages().items():
            if not kind.write:
                app = _app(modes)
                yield _golden(app, f"{'.'.join(pair)}.{variant}", pair[0], _message(pair, app))
        app = _app(modes)
        for product, message in _write_messages(app):
            yield _golden(app, f"{product}.{_called(message)}.{variant}", product, message)
    yield from _refused()


def _refused() -> Iterator[Golden]:
    """The same messages when the service says no: unknown objects, and a key that has been removed."""
    app = _app({})
    writes = list(_write_messages(app))
    for key_id, _ in KEYS.values():
        app.world.keys.remove(key_id)
    for product, message in writes:
        yield _golden(app, f"{product}.{_called(message)}.refused", product, message)
    for pair in (("wedata", "ListPermissions"), ("dms", "ListUserPermissions"), ("quickbi", "QueryUserList")):
        yield _golden(app, f"{'.'.join(pair)}.refused", pair[0], _message(pair, app))


@cache
def goldens() -> tuple[Golden, ...]:
    """All of them, in a fixed order, with counted request ids."""
    count = iter(range(10**9))

    def numbered(body: bytes) -> bytes:
        return _REQUEST_ID.sub(lambda match: match[1] + b"00000000-0000-4000-8000-%012d" % next(count) + match[2], body)

    return tuple(
        replace(golden, pages=tuple(replace(page, body=numbered(page.body)) for page in golden.pages))
        for golden in _made()
    )


def documents(keep: Callable[[Golden], bool] = lambda golden: True) -> list[Any]:
    """The answers as JSON values."""
    return [json.loads(page.body) for golden in goldens() if keep(golden) for page in golden.pages]
