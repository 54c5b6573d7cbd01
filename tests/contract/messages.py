"""Every typed message of the package: discovered, generated for tests, and given to the vendors' libraries."""

from __future__ import annotations

import pkgutil
import re
import types
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

import rescind.cloud
from rescind.cloud.base import Part, Request
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.dms import accounts, permissions, policies, proxies
from rescind.cloud.dms.inventory import GetUser
from rescind.cloud.fields import WireInt, is_named_id, means_all
from rescind.cloud.quickbi import authorizations, datasets, members, menus, shares
from rescind.cloud.wedata import data_sources, privileges, studio
from rescind.cloud.wedata import members as project_members

Strategy = st.SearchStrategy[Any]
# Characters that signatures and queries stumble over, beside whatever hypothesis finds.
AWKWARD = " ~+%*/&=?#,;:.'\"\\-_|<>()[]{}@!$^`éüß表数据權限\U0001f512"
VISIBLE = (
    st.text(st.sampled_from(AWKWARD + "aZ09") | st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60)
    .map(str.strip)
    .filter(bool)
)
SETTINGS = {
    "wedata": {"region": "ap-singapore"},
    "dms": {},
    "quickbi": {"region": "cn-hangzhou"},
}


@cache
def messages() -> dict[tuple[str, str], type[Request[Any]]]:
    """Message classes by (product, action); products as in the tables."""
    for module in pkgutil.walk_packages(rescind.cloud.__path__, "rescind.cloud."):
        import_module(module.name)
    found: dict[tuple[str, str], type[Request[Any]]] = {}
    for kind in _subclasses(Request):
        if "action" in vars(kind) and kind.__module__.startswith("rescind.cloud."):  # a test may have its own
            assert (product_of(kind), kind.action) not in found, f"{kind.action} has two messages"
            found[product_of(kind), kind.action] = kind
    return dict(sorted(found.items()))


def product_of(kind: type[Request[Any]]) -> str:
    """The product a message belongs to; the two token services are told apart."""
    return f"{kind.vendor}-sts" if kind.service == "sts" else kind.service


def _subclasses(kind: type) -> Iterator[type[Request[Any]]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _subclasses(inner)


def client_settings(product: str, key_id: str, secret: str, **fields: Any) -> ClientSettings:
    """Settings of the client that sends a product's messages."""
    service = {"tencent-sts": "wedata", "alibaba-sts": "dms"}.get(product, product)
    given = {"login": key_id, "password": secret, **SETTINGS[service], **fields}
    return ClientSettings.from_fields(service, given)  # type: ignore[arg-type]


# --- generated messages -------------------------------------------------------------------------------


def calm(examples: int) -> settings:
    """Settings for a property on a slow, shared machine: the same examples every time, no deadlines."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=checks)


def made(kind: type[Request[Any]]) -> Strategy:
    """Instances of a message class."""
    if kind in _BUILDERS:
        return _BUILDERS[kind](kind)
    return _fields(kind).map(lambda values: kind(**values))


def _fields(kind: type[BaseModel]) -> Strategy:
    names: dict[str, Strategy] = {}
    for name, info in kind.model_fields.items():
        strategy = _of_field(info)
        names[name] = strategy if info.is_required() else st.none() | strategy
    return st.fixed_dictionaries(names).map(lambda values: {n: v for n, v in values.items() if v is not None})


def _of_field(info: FieldInfo) -> Strategy:
    return _of_type(info.annotation, list(info.metadata))


def _of_type(annotation: Any, metadata: list[Any]) -> Strategy:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return _of_type(inner, [*marks, *metadata])
    if origin in (Union, types.UnionType):
        return st.one_of([_of_type(part, metadata) for part in get_args(annotation) if part is not type(None)])
    if origin is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation is str:
        return _text(metadata)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = next((mark.ge for mark in metadata if getattr(mark, "ge", None) is not None), 1)
        high = next((mark.le for mark in metadata if getattr(mark, "le", None) is not None), 1000)
        return st.integers(low, high)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return _fields(annotation).map(lambda values: annotation(**values))
    raise TypeError(f"no way to make a {annotation}")


def _text(metadata: list[Any]) -> Strategy:
    for mark in metadata:
        if isinstance(mark, StringConstraints) and mark.pattern is not None:
            text = mark.pattern if isinstance(mark.pattern, str) else mark.pattern.pattern
            return st.from_regex(re.compile(text, re.ASCII), fullmatch=True)
    return VISIBLE


def _ids(count: int) -> Strategy:
    one = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,35}", fullmatch=True).filter(is_named_id)
    return st.lists(one, min_size=1, max_size=count, unique=True)


_ID = r"[1-9][0-9]{0,18}"
_SUBJECTS = {"User": _ID, "Project": _ID, "Role": rf"{_ID}\.{_ID}", "GlobalRole": rf"AllAccountUsers|{_ID}"}


@st.composite
def _subject(draw: Any) -> privileges.Subject:
    kind = draw(st.sampled_from(sorted(_SUBJECTS)))
    one = st.from_regex(_SUBJECTS[kind], fullmatch=True)
    return privileges.Subject(SubjectType=kind, SubjectValues=draw(st.lists(one, min_size=1, max_size=8, unique=True)))


@st.composite
def _privileges(draw: Any, kind: type[Request[Any]]) -> Any:
    kind_of = draw(st.sampled_from(["Metalake", "Catalog", "CATALOG", "Schema", "Table"]))
    paths = VISIBLE.filter(lambda path: "*" not in path and path != "%" and not means_all(path))
    uris = draw(st.lists(paths, min_size=1, max_size=12, unique=True))
    pairs = draw(st.integers(1, 4))
    subjects = [draw(_subject()) for _ in range(pairs)]
    names = draw(
        st.lists(
            st.from_regex(r"[A-Z][A-Z_]{2,20}", fullmatch=True).filter(lambda name: not means_all(name)),
            min_size=pairs,
            max_size=pairs,
            unique=True,
        )
    )
    return kind(
        Resources=[privileges.PrivilegeResource(ResourceType=kind_of, ResourceUri=uri) for uri in uris],
        Subjects=subjects,
        Privileges=[privileges.Privilege(Name=name) for name in names],
    )


_DIGITS = st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True)


def _revoke_source(kind: type[Request[Any]]) -> Strategy:
    targets = st.builds(data_sources.FromProject, project_id=_DIGITS, whole_project=st.just(True)) | st.builds(
        data_sources.FromUser, project_id=_DIGITS, user_id=_DIGITS
    )
    return st.builds(kind, DataSourceId=_DIGITS, target=targets)


def _authorize_source(kind: type[Request[Any]]) -> Strategy:
    users = st.lists(_DIGITS, min_size=1, max_size=60, unique=True)
    targets = st.builds(data_sources.ToProject, project_id=_DIGITS, whole_project=st.just(True)) | st.builds(
        data_sources.ToUsers, project_id=_DIGITS, user_ids=users
    )
    return st.builds(kind, DataSourceId=_DIGITS, target=targets)


@st.composite
def _dms_write(draw: Any, kind: type[Request[Any]]) -> Any:
    ds_type = draw(st.sampled_from(["INSTANCE", "DATABASE", "LOGIC_DATABASE", "TABLE", "LOGIC_TABLE"]))
    given: dict[str, Any] = {
        "UserId": draw(_DIGITS),
        "DsType": ds_type,
        "PermTypes": draw(st.sampled_from(["QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF"])),
        "Tid": draw(st.none() | st.from_regex(r"-1|[1-9][0-9]{0,10}", fullmatch=True)),
        "InstanceId": draw(_DIGITS if ds_type == "INSTANCE" else st.none() | _DIGITS),
    }
    if ds_type != "INSTANCE":
        given |= {"DbId": draw(_DIGITS), "Logic": ds_type.startswith("LOGIC_")}
    if ds_type.endswith("TABLE"):
        given |= {
            "TableId": draw(_DIGITS),
            "TableName": draw(st.none() | VISIBLE.filter(lambda name: name.strip("*%") != "")),
        }
    if kind is permissions.RevokeUserPermission:
        given["UserAccessId"] = draw(_DIGITS)
    else:
        given["ExpireDate"] = draw(st.datetimes()).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    return kind(**{name: value for name, value in given.items() if value is not None})


def _account_write(kind: type[Request[Any]]) -> Strategy:
    return st.builds(kind, Uid=_DIGITS, Tid=st.from_regex(r"-1|[1-9][0-9]{0,10}", fullmatch=True))


def _proxy_write(kind: type[Request[Any]]) -> Strategy:
    ids = dict.fromkeys(set(kind.model_fields) - {"Tid"}, _DIGITS)
    return st.builds(kind, Tid=st.from_regex(r"-1|[1-9][0-9]{0,10}", fullmatch=True), **ids)


@st.composite
def _policy_write(draw: Any, kind: type[Request[Any]]) -> Any:
    identity = draw(st.sampled_from(["USER", "ROLE"]))
    holder = {"PolicyId": draw(_DIGITS), "UserId" if identity == "USER" else "RoleId": draw(_DIGITS)}
    ids = holder if kind is policies.CreateAbacAuthorization else {"AuthorizationId": draw(_DIGITS)}
    return kind(IdentityType=identity, Tid=draw(st.from_regex(r"-1|[1-9][0-9]{0,10}", fullmatch=True)), **ids)


@st.composite
def _project_member_write(draw: Any, kind: type[Request[Any]]) -> Any:
    user = {"UserUin": draw(_DIGITS)} if "UserUin" in kind.model_fields else {"UserUins": [draw(_DIGITS)]}
    roles = {"RoleIds": draw(st.lists(_DIGITS, min_size=1, max_size=100, unique=True))}
    return kind(ProjectId=draw(_DIGITS), **user, **(roles if "RoleIds" in kind.model_fields else {}))


@st.composite
def _studio_write(draw: Any, kind: type[Request[Any]]) -> Any:
    code = "ResourceType" in kind.model_fields
    names = ("ResourceType", "ResourceId", "script") if code else ("EntityType", "EntityId", "workflow")
    holders = ["user", "role"] if kind is studio.CreateWorkflowPermissions else ["user", "role", "group"]
    rights = st.lists(st.sampled_from(["CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"]), min_size=1, unique=True)
    where = {names[0]: draw(st.sampled_from(["folder", names[2]])), names[1]: draw(_ids(1))[0]}
    whom = {"SubjectType": draw(st.sampled_from(holders)), "SubjectId": draw(_DIGITS)}
    return kind(ProjectId=draw(_DIGITS), **where, **whom, Privileges=draw(rights))


@st.composite
def _menu_write(draw: Any, kind: type[Request[Any]]) -> Any:
    given: dict[str, Any] = {"DataPortalId": draw(_ids(1))[0], "MenuIds": draw(_ids(60))}
    users, count = draw(st.sampled_from([(60, 0), (0, 60), (30, 30)]))
    given |= {"UserIds": draw(_ids(users))} if users else {}
    given |= {"UserGroupIds": draw(_ids(count))} if count else {}
    if kind is menus.AuthorizeMenu:
        given["AuthPointsValue"] = draw(st.sampled_from([1, 3]))
    return kind(**given)


@st.composite
def _groups_write(draw: Any, kind: type[Request[Any]]) -> Any:
    return kind(UserGroupIds=draw(_ids(50)), UserId=draw(_ids(1))[0])


@st.composite
def _workspace_write(draw: Any, kind: type[Request[Any]]) -> Any:
    given = {"WorkspaceId": draw(_ids(1))[0], "UserId": draw(_ids(1))[0]}
    return kind(**given, **({"RoleId": 26} if kind is members.AddUserToWorkspace else {}))


@st.composite
def _share_write(draw: Any, kind: type[Request[Any]]) -> Any:
    work, receiver, to = draw(_ids(1))[0], draw(_ids(1))[0], draw(st.sampled_from([0, 1, 2]))
    if kind is shares.CancelReportShare:
        return kind(ReportId=work, ShareToType=to, ShareToIds=receiver)
    level, end = draw(st.sampled_from([1, 3])), draw(st.integers(10**12, 10**15 - 1))
    return kind(WorksId=work, ShareToType=to, ShareToId=receiver, AuthPoint=level, ExpireDate=end)


@st.composite
def _authorization_write(draw: Any, kind: type[Request[Any]]) -> Any:
    given = {"ResourceType": draw(st.sampled_from(["dashboard", "cube", "ANALYSIS"])), "ResourceId": draw(_ids(1))[0]}
    if kind is authorizations.DeleteAuthorizationByUserId:
        return kind(**given, QbiUserId=draw(_ids(1))[0])
    level = draw(st.sampled_from([1, 3, 11]))
    end = {"ExpireDay": draw(st.dates()).isoformat()} if level != authorizations.EDIT else {}
    return kind(**given, AuthorizedId=draw(_ids(1))[0], AuthPoints=level, **end)


@st.composite
def _white_list_write(draw: Any, kind: type[Request[Any]]) -> Any:
    chosen = {"OperateType": ["ADD", "DELETE"], "RuleType": ["ROW_LEVEL", "COLUMN_LEVEL"], "TargetType": ["1", "2"]}
    given = {name: draw(st.sampled_from(values)) for name, values in chosen.items()}
    return kind(CubeId=draw(_ids(1))[0], TargetIds=draw(_ids(datasets.MAX_TARGETS)), **given)


def _get_user(kind: type[Request[Any]]) -> Strategy:
    one = st.fixed_dictionaries({"UserId": _DIGITS}) | st.fixed_dictionaries({"Uid": _DIGITS})
    tenant = st.fixed_dictionaries({}, optional={"Tid": _DIGITS})
    return st.tuples(one, tenant).map(lambda parts: kind(**parts[0], **parts[1]))


_BUILDERS: dict[type[Request[Any]], Callable[[type[Request[Any]]], Strategy]] = {
    privileges.RevokePrivileges: _privileges,
    privileges.AuthorizePrivileges: _privileges,
    data_sources.RevokeDataSourceAuthorization: _revoke_source,
    data_sources.AuthorizeDataSource: _authorize_source,
    project_members.RemoveMemberProjectRole: _project_member_write,
    project_members.GrantMemberProjectRole: _project_member_write,
    project_members.DeleteProjectMember: _project_member_write,
    project_members.CreateProjectMember: _project_member_write,
    studio.DeleteCodePermissions: _studio_write,
    studio.CreateCodePermissions: _studio_write,
    studio.DeleteWorkflowPermissions: _studio_write,
    studio.CreateWorkflowPermissions: _studio_write,
    permissions.RevokeUserPermission: _dms_write,
    permissions.GrantUserPermission: _dms_write,
    accounts.DisableUser: _account_write,
    accounts.EnableUser: _account_write,
    proxies.DeleteProxyAccess: _proxy_write,
    proxies.CreateProxyAccess: _proxy_write,
    policies.DeleteAbacAuthorization: _policy_write,
    policies.CreateAbacAuthorization: _policy_write,
    menus.CancelAuthorizationMenu: _menu_write,
    menus.AuthorizeMenu: _menu_write,
    members.DeleteUserGroupMembers: _groups_write,
    members.AddUserGroupMembers: _groups_write,
    members.DeleteUserFromWorkspace: _workspace_write,
    members.AddUserToWorkspace: _workspace_write,
    shares.CancelReportShare: _share_write,
    shares.AddShareReport: _share_write,
    authorizations.DeleteAuthorizationByUserId: _authorization_write,
    authorizations.AddWorksAuthorization: _authorization_write,
    datasets.AddDataLevelPermissionWhiteList: _white_list_write,
    GetUser: _get_user,
}

# --- the same input for a library ---------------------------------------------------------------------


def library_input(message: Request[Any]) -> dict[str, Any]:
    """What a user of the vendor's library would give for the same call. Does not use the message's ``wire``."""
    if isinstance(message, data_sources.RevokeDataSourceAuthorization):
        return {"DataSourceId": message.DataSourceId, **_revoke_target(message.target)}
    if isinstance(message, data_sources.AuthorizeDataSource):
        return {"DataSourceId": message.DataSourceId, **_authorize_target(message.target)}
    if type(message).__module__ == project_members.__name__:
        fields = {name: getattr(message, name) for name in type(message).model_fields}
        return {name: value if isinstance(value, str) else list(value) for name, value in fields.items()}
    if isinstance(message, studio._CodeWrite):
        return _code_input(message)
    if isinstance(message, studio._WorkflowWrite):
        entry = {"PermissionTargetType": message.SubjectType, "PermissionTargetId": message.SubjectId}
        entry |= {"PermissionTypeList": list(message.Privileges)}
        name = "PermissionList" if message.action.startswith("Create") else "DeletePermissionList"
        where = {"EntityId": message.EntityId, "EntityType": message.EntityType}
        return {"ProjectId": message.ProjectId, **where, name: [entry]}
    if isinstance(message, members._GroupsWrite):
        return {"UserGroupIds": ",".join(message.UserGroupIds), "UserId": message.UserId}
    if isinstance(message, datasets.AddDataLevelPermissionWhiteList):
        names = ("CubeId", "RuleType", "OperateType", "TargetType")
        return {**{name: getattr(message, name) for name in names}, "TargetIds": ",".join(message.TargetIds)}
    if isinstance(message, menus._MenuWrite):
        lists = {name: getattr(message, name) for name in ("MenuIds", "UserIds", "UserGroupIds")}
        given: dict[str, Any] = {"DataPortalId": message.DataPortalId}
        given |= {name: ",".join(ids) for name, ids in lists.items() if ids}
        return {
            **given,
            **({"AuthPointsValue": message.AuthPointsValue} if hasattr(message, "AuthPointsValue") else {}),
        }
    return {
        name: _plain(getattr(message, name), whole=_wants_integer(info))
        for name, info in type(message).model_fields.items()
        if getattr(message, name) is not None
    }


def _code_input(message: Any) -> dict[str, Any]:
    made = message.action.startswith("Create")
    holder = {"SubjectType": message.SubjectType, "SubjectValues": [message.SubjectId]}
    holder |= {"Privileges": list(message.Privileges)}
    resource = {"ResourceType": message.ResourceType, "ResourceId": message.ResourceId}
    entry = {"Resource": resource, "AuthorizeSubjects" if made else "RecycleSubjects": [holder]}
    return {"ProjectId": message.ProjectId, "AuthorizePermissionObjects" if made else "RecyclePolicySet": [entry]}


def _revoke_target(target: Any) -> dict[str, Any]:
    if isinstance(target, data_sources.FromProject):
        return {"RevokeProjectId": target.project_id}
    return {"RevokeUser": target.project_id + "_" + target.user_id}


def _authorize_target(target: Any) -> dict[str, Any]:
    if isinstance(target, data_sources.ToProject):
        return {"AuthProjectId": target.project_id}
    return {"AuthUsers": [target.project_id + "_" + user for user in target.user_ids]}


def _wants_integer(info: FieldInfo) -> bool:
    return "WireInt" in repr(info.annotation) or any(isinstance(mark, WireInt) for mark in info.metadata)


def _plain(value: Any, *, whole: bool = False) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return int(value) if whole else value
