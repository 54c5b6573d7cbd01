"""Every field of our messages stands in the vendors' tables with a fitting type, and the tables in the libraries."""

from __future__ import annotations

import types
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from pydantic import AliasChoices, BaseModel, SecretStr

from rescind.cloud.base import Reply, Request
from rescind.cloud.quickbi.menus import ListPortalMenusAnswer
from tests.contract.conftest import vendor_of
from tests.contract.libraries import _ALIBABA, _TENCENT
from tests.contract.library_fields import alibaba_fields, tencent_fields
from tests.contract.messages import calm, made, messages
from tests.contract.tables import ActionTable, kind_of, problems, tables

PAIRS = list(messages())
# The library takes a list and sends it as JSON text; the table says what is sent.
ENCODED = {("dms", "CheckBatchTableAccessPermission", "TableNameList")}
# The vendor writes this flag as text; we read it as text and as a JSON flag.
TEXT_FLAGS = {
    ("dms", "CreateAbacAuthorization", "Result"),
    ("dms", "DeleteAbacAuthorization", "Result"),
}

# Fields that may be null by the vendor's tables and that we insist on all the same: without one of them a row
# has no identity or no meaning, so null makes the listing unreadable rather than short.
INSISTED = {
    "wedata": {
        "DescribeDataSourceAuthority": {"Data"},
        "ListDataSources": {"Data.Items[].Id"},
        "ListProjects": {"Data.Items[].ProjectId"},
        "ListPermissions": {"Data.Details[].PermissionDetails[].Name"},
        "ListWorkflows": {"Data.Items[].WorkflowId"},
        "ListDatabase": {"Data.Items[].Name"},
        "ListSchema": {"Data.Items[].Name"},
        "ListTable": {"Data.Items[].Name"},
    }
}


# Fields of row models that sibling actions share and that this action's table does not have; all optional.
_ROW = "UserPermissions.UserPermission[]"
_NOT_ON_INSTANCES = "DsType DbId Logic TableId TableName ColumnName SchemaName SearchName Alias EnvType DbType"
SHARED = {
    ("dms", "ListInstanceUserPermissions"): {f"{_ROW}.{name}" for name in _NOT_ON_INSTANCES.split()},
    ("quickbi", "QueryUserInfoByAccount"): {"Result.LastLoginTime", "Result.JoinedDate"},
}


def names(pairs: Any) -> list[str]:
    return [f"{product}-{action}" for product, action in pairs]


@pytest.mark.parametrize("pair", sorted(tables()), ids=names(sorted(tables())))
def test_the_tables_agree_with_the_libraries(pair: tuple[str, str]) -> None:
    """Same fields, same types, in both directions."""
    product, action = pair
    table = tables()[pair]
    package = _TENCENT[product][0] if product in _TENCENT else _ALIBABA[product]
    models = import_module(f"{package}.models")
    answer = f"{action}Response" if product in _TENCENT else f"{action}ResponseBody"
    read = tencent_fields if product in _TENCENT else alibaba_fields
    request = dict(read(models, f"{action}Request")) if hasattr(models, f"{action}Request") else {}
    assert bare(table, table.request) == bare(table, request)
    assert bare(table, table.response) == bare(table, dict(read(models, answer)))


def bare(table: ActionTable, fields: Any) -> dict[str, str]:
    """Paths and types without marks; what the library encodes as text counts as text."""
    out = {}
    for path, kind in fields.items():
        name = path.removesuffix("[]")
        if (table.product, table.action, name) in ENCODED:
            out[name] = "string"
        elif not path.endswith("*"):  # the keys of a map
            out[path] = "any" if f"{path}.*" in fields or kind == "any" else kind_of(kind)
    return out


def test_every_message_has_a_table() -> None:
    assert set(messages()) <= set(tables())


@pytest.mark.parametrize("pair", PAIRS, ids=names(PAIRS))
def test_version_method_and_kind(pair: tuple[str, str]) -> None:
    kind, table = messages()[pair], tables()[pair]
    assert (kind.version, kind.method, kind.write) == (table.version, table.method, table.write)
    assert kind.needs_success is (kind.vendor == "tencent" or "Success" in table.response)


@pytest.mark.parametrize("pair", PAIRS, ids=names(PAIRS))
def test_what_we_send_is_in_the_table(pair: tuple[str, str]) -> None:
    """Names and types of generated requests; every required parameter is always there, every field of ours is used."""
    kind, table = messages()[pair], tables()[pair]
    seen: set[str] = set()

    @calm(40)
    @given(made(kind))
    def fits(message: Request[Any]) -> None:
        wire = message.wire()
        seen.update(wire)
        assert table.required <= set(wire)
        sent = wire if vendor_of(table.product) == "tencent" else {n: on_the_wire(table, n, v) for n, v in wire.items()}
        assert list(problems(table.request, sent, nulls=False)) == []

    fits()
    if not kind.write:
        assert seen == set(kind.model_fields)


def on_the_wire(table: ActionTable, name: str, value: Any) -> Any:
    """In a query everything is text: decimal text is as good as an integer, and only for an integer."""
    wanted = kind_of(table.request.get(name, "string"))
    if wanted == "integer" and isinstance(value, str) and value.removeprefix("-").isdigit():
        return int(value)
    return value


# --- answers ------------------------------------------------------------------------------------------


def test_the_walk_over_our_answers_sees_every_model() -> None:
    """The number of fields that the next test compares; a walk that finds nothing would prove nothing."""
    counted = {pair: len(list(reply_fields(messages()[pair].Answer))) for pair in PAIRS}
    empty = {pair for pair, number in counted.items() if number == 0}
    dms = "GrantUserPermission RevokeUserPermission DisableUser EnableUser CreateProxyAccess DeleteProxyAccess"
    envelope = {("dms", action) for action in dms.split()}  # it says all
    members = ("DeleteProjectMember", "GrantMemberProjectRole", "RemoveMemberProjectRole")
    assert empty == envelope | {("wedata", action) for action in members}
    assert sum(counted.values()) > 350


@pytest.mark.parametrize("pair", PAIRS, ids=names(PAIRS))
def test_what_we_read_is_in_the_table(pair: tuple[str, str]) -> None:
    table = tables()[pair]
    insisted, elsewhere = set(), set()
    for choices, kinds, needed in reply_fields(messages()[pair].Answer):
        found = [path for path in choices if path in fields_of(table)]
        if not found and not needed:
            elsewhere.update(choices)
            continue
        assert len(found) == 1, f"{choices} in {table.action}"
        kind = fields_of(table)[found[0]]
        kinds = kinds | {"string"} if (*pair, found[0]) in TEXT_FLAGS else kinds
        assert kind_of(kind) in kinds, f"{found[0]} is {kind}, read as {sorted(kinds)}"
        if needed and kind.endswith("?"):
            insisted.add(found[0])
    assert insisted == INSISTED.get(table.product, {}).get(table.action, set())
    assert elsewhere == SHARED.get(pair, set())


def fields_of(table: ActionTable) -> dict[str, str]:
    """The table of an answer; a tree in JSON text counts as what it holds."""
    if table.text is None:
        return dict(table.response)
    inside = {f"Result[].{name}": kind for name, kind in table.text.items()}
    return {**table.response, "Result": "list", "Result[]": "object", **inside}


Field = tuple[list[str], set[str], bool]


def reply_fields(model: type[BaseModel], prefix: tuple[str, ...] = ("",)) -> Iterator[Field]:
    """(possible paths, fitting types, whether null is refused) of every field of an answer, nested ones too."""
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        spelled = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
        paths = [f"{start}.{each}" if start else each for start in prefix for each in spelled]
        yield from _typed(info.annotation, [*info.metadata], paths, model)


def _typed(annotation: Any, marks: list[Any], paths: list[str], owner: type[BaseModel]) -> Iterator[Field]:
    annotation, marks, optional = _unwrapped(annotation, marks)
    if get_origin(annotation) is tuple:
        yield paths, {"list"}, not optional
        element = get_args(annotation)[0]
        if element is owner:  # a tree: its nodes are what is being walked
            return
        yield from _typed(element, [], [f"{path}[]" for path in paths], owner)
    elif isinstance(annotation, type) and issubclass(annotation, Reply):
        yield paths, {"object"}, not optional
        yield from reply_fields(annotation, tuple(paths))
    else:
        yield paths, _kinds(annotation, marks), not optional


def _unwrapped(annotation: Any, marks: list[Any]) -> tuple[Any, list[Any], bool]:
    optional = False
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            marks = [*marks, *more]
        else:
            parts = [part for part in get_args(annotation) if part is not type(None)]
            optional = len(parts) < len(get_args(annotation))
            (annotation,) = parts
    return annotation, marks, optional


def _kinds(annotation: Any, marks: list[Any]) -> set[str]:
    """Types of the table that a field of ours reads. Text fields turn integers into their exact decimal text."""
    validators = {getattr(getattr(mark, "func", None), "__name__", "") for mark in marks}
    if annotation is str:
        return {"string", "integer"} if "exact_text" in validators else {"string"}
    return {bool: {"boolean"}, int: {"integer"}, SecretStr: {"string"}}[annotation]


def test_the_menu_tree_is_read_from_its_text() -> None:
    """The one answer that carries JSON as text."""
    assert tables()["quickbi", "ListPortalMenus"].response["Result"] == "string"
    text = '[{"menuId":"a","menuType":4,"children":[{"menuId":"b","menuType":0,"showOnlyWithAccess":true}]}]'
    assert [node.menuId for node in ListPortalMenusAnswer(Result=text).nodes()] == ["a", "b"]
