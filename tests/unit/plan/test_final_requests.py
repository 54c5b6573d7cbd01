"""From decisions to the bytes that are sent: what all four systems' requests could take away is what was approved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.cloud.connection.settings import ClientSettings
from rescind.errors import BlastRadiusExceededError
from rescind.model import CallShape, Cell, Grant, GrantKey, Mode
from rescind.plan import SystemEffects, plan_calls
from rescind.plan.approved import read_approved
from rescind.plan.check import EmptiedColumn, check_plan, check_request
from rescind.plan.effects import effects
from rescind.systems import REGISTRY, system_named
from tests.support.ledger.pacing import FreePacer
from tests.support.reviews.examples import examples

Facts = Mapping[str, str]
MENU_IDS = ["m1", "M1", "m-1", "m_1"]


def _grant(system: str, kind: str, resource: str, who: tuple[str, str], right: str, native: str, **facts: str) -> Grant:
    key = GrantKey(system, "a", kind, resource, *who, right, native)
    return Grant(key, system_named(system).cell(key), attributes=facts)


PEOPLE = [("user", "1"), ("user", "2"), ("user", "2956525852619374592"), ("role", "1")]
PRIVILEGES = st.builds(
    lambda uri, who, right: _grant("wedata_privileges", "table", uri, who, right, "", ResourceType="Table"),
    st.sampled_from(["c.s.a", "c.s.b", "c.s.表", "c.s.d e"]),
    st.sampled_from(PEOPLE),
    st.sampled_from(["SELECT_TABLE", "ALL_PRIVILEGES"]),
)
SOURCES = st.builds(
    lambda source, project, user: _grant(
        "wedata_data_sources",
        "data_source",
        source,
        ("user", user) if user else ("project", project),
        "use",
        f"{project}_{user}" if user else "",
    ),
    st.sampled_from(["1", "65377"]),
    st.sampled_from(["7", "2956525852619374592"]),
    st.sampled_from(["", "8", "9"]),
)
# A membership goes with every role, in a call that names no role, so a user here has one or the other.
PROJECTS = st.builds(
    lambda project, user, right: _grant(
        "wedata_project_roles", "project", project, ("user", user), "membership" if user == "8" else right, ""
    ),
    st.sampled_from(["7", "2956525852619374592"]),
    st.sampled_from(["8", "9", "10"]),
    st.sampled_from(["administrator", "data engineer", "role 55"]),
)
RECORDS = st.builds(
    lambda record, user, right: _grant(
        "dms_permissions",
        "database",
        "1",
        ("user", user),
        right,
        record,
        DsType="DATABASE",
        InstanceId="",
        DbId="1",
        Logic="false",
        TableId="",
        TableName="",
        Tid="3",
    ),
    st.sampled_from(["774", "775", "9223372036854775807"]),
    st.sampled_from(["51", "52"]),
    st.sampled_from(["QUERY", "EXPORT"]),
)
MENUS = st.builds(
    lambda portal, menu, who: _grant("quickbi_menus", "menu", menu, who, "view", portal),
    st.sampled_from(["p", "q"]),
    st.sampled_from(MENU_IDS),
    st.sampled_from([("user", "u1"), ("user", "u2"), ("user", "u3"), ("group", "u1"), ("group", "u-2")]),
)
MEMBERS = st.builds(
    lambda group, user: _grant("quickbi_group_members", "user_group", group, ("user", user), "member", ""),
    st.sampled_from(["g1", "g2", "g-3", "g4"]),
    st.sampled_from(["u1", "u2", "u-3"]),
)
WORKSPACES = st.builds(
    lambda space, user: _grant("quickbi_workspace_members", "workspace", space, ("user", user), "viewer", ""),
    st.sampled_from(["w1", "w-2"]),
    st.sampled_from(["u1", "u2", "u-3"]),
)
SHARES = st.builds(
    lambda work, who, level, share: _grant("quickbi_shares", "work", work, who, level, share),
    st.sampled_from(["r1", "r-2"]),
    st.sampled_from([("user", "u1"), ("user", "u-2"), ("group", "u1"), ("organization", "u1")]),
    st.sampled_from(["view", "view_export"]),
    st.sampled_from(["s1", "s2"]),
)
AUTHORIZATIONS = st.builds(
    lambda place, user, level, end: _grant(
        "quickbi_work_authorizations", place[0], place[1], ("user", user), level, end, ResourceType=place[2]
    ),
    st.sampled_from([("work", "r1", "dashboard"), ("work", "r-2", "report"), ("dataset", "r1", "cube")]),
    st.sampled_from(["u1", "u-2"]),
    st.sampled_from(["view", "edit"]),
    st.sampled_from(["", "4000000000000"]),
)
WHITE_LISTS = st.builds(
    lambda dataset, who, which: _grant("quickbi_dataset_whitelists", "dataset", dataset, who, which, ""),
    st.sampled_from(["c1", "c-2"]),
    st.sampled_from([("user", "u1"), ("user", "u-2"), ("user", "u3"), ("group", "u1"), ("group", "g2")]),
    st.sampled_from(["all_rows", "all_columns"]),
)
ACCOUNTS = st.builds(
    lambda user: _grant("dms_accounts", "tenant", "3", ("user", user), "account", f"196800000000{user}"),
    st.sampled_from(["51", "52", "53"]),
)
PROXIES = st.builds(
    lambda number: _grant("dms_proxy_accesses", "proxy", "5", ("user", f"5{number}"), "proxy account", number, Tid="3"),
    st.sampled_from(["7", "8", "9"]),
)
POLICIES = st.builds(
    lambda number, kind: _grant(
        "dms_abac_authorizations", "policy", "5", (kind, f"5{number}"), "attached policy", number, Tid="3"
    ),
    st.sampled_from(["7", "8", "9"]),
    st.sampled_from(["user", "role"]),
)
STUDIO = st.builds(
    lambda kind, ident, who, right: _grant("wedata_studio_permissions", kind, ident, who, right, "7"),
    st.sampled_from(["studio_folder", "studio_script", "workflow_folder", "workflow"]),
    st.sampled_from(["f1", "F1", "b41e8d13-905a-4006"]),
    st.sampled_from([("user", "1"), ("user", "2"), ("role", "7.1"), ("group", "1")]),
    st.sampled_from(["CAN_VIEW", "CAN_EDIT", "CAN_MANAGE"]),
)
GRANTS: dict[str, st.SearchStrategy[Grant]] = {
    "wedata_privileges": PRIVILEGES,
    "wedata_data_sources": SOURCES,
    "wedata_project_roles": PROJECTS,
    "wedata_studio_permissions": STUDIO,
    "dms_permissions": RECORDS,
    "quickbi_menus": MENUS,
    "quickbi_group_members": MEMBERS,
    "quickbi_workspace_members": WORKSPACES,
    "quickbi_shares": SHARES,
    "quickbi_work_authorizations": AUTHORIZATIONS,
    "quickbi_dataset_whitelists": WHITE_LISTS,
    "dms_accounts": ACCOUNTS,
    "dms_proxy_accesses": PROXIES,
    "dms_abac_authorizations": POLICIES,
}


@cache
def _client(system: str) -> CloudClient:
    """The client that the system's messages go through; nothing is sent."""
    service = next((name for name in ("wedata", "dms") if system.startswith(name)), None)
    fields: dict[str, Any] = {"login": "AKIDexample", "password": "secret-of-a-test", "region": "cn-hangzhou"}
    if service == "dms":
        del fields["region"]
    chosen = ClientSettings.from_fields(service or "quickbi", fields)  # type: ignore[arg-type]
    return client_class(chosen)(chosen, pacer=FreePacer())


def _small(shape: CallShape) -> CallShape:
    """Limits that small plans meet."""
    columns = {kind: min(cap, 2) for kind, cap in shape.max_columns.items()}
    return replace(shape, max_rows=min(shape.max_rows, 3), max_columns=columns)


def _column(cell: Cell) -> EmptiedColumn:
    return cell.container, cell.kind, cell.column


def test_every_system_has_its_grants_here() -> None:
    assert set(GRANTS) == set(REGISTRY)


@pytest.mark.parametrize("name", GRANTS)
def test_final_requests_take_exactly_what_was_approved(name: str) -> None:
    system, shape, client = system_named(name), _small(system_named(name).shape), _client(name)

    @examples(60)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        going = {grant.key: grant for grant in data.draw(st.lists(GRANTS[name], max_size=9))}
        staying = {grant.cell for grant in data.draw(st.lists(GRANTS[name], max_size=3)) if grant.key not in going}
        tried = data.draw(st.sampled_from(shape.modes))
        emptied = {_column(g.cell) for g in going.values()} - {_column(cell) for cell in staying}
        emptied = emptied if tried is Mode.EMPTYING else set()
        cover = plan_calls(
            name, "a", shape, [(g.cell, g.grant_id) for g in going.values()], staying, modes=[tried], emptied=emptied,
            budget_s=0.02,
        )  # fmt: skip
        mode = cover.mode
        planned = {g.grant_id: g for g in going.values() if g.grant_id not in cover.held}
        cells = {ident: grant.cell for ident, grant in planned.items()}
        check_plan(cover.calls, cells, staying, system=name, account="a", shape=shape, mode=mode, emptied=emptied)
        assert cover.lower_bound <= len(cover.calls)
        taken: list[Cell] = []
        for call in cover.calls:
            mine = [grant for grant in planned.values() if grant.cell in call.cells()]
            blast = system.blast_radius(client.prepare(system.request(call, mine)))
            assert blast == call.cells() and not blast & staying
            own = frozenset(grant.cell for grant in mine)
            absent = blast - own if mode is Mode.SPARSE else frozenset()
            assert check_request(blast, own, emptied, absent=absent, kept=staying) == len(own)
            if own:
                with pytest.raises(BlastRadiusExceededError):
                    check_request([*blast, Cell("elsewhere", *blast_row(own), "user", ("u1",))], own, emptied)
            taken += own
        assert sorted(taken) == sorted(set(cells.values()))

    holds()


def blast_row(cells: frozenset[Cell]) -> tuple[str]:
    return (min(cells).row,)


KEYS = st.sets(st.sampled_from([GrantKey("s", "a", "t", r, "user", u, "read") for r in "xy" for u in "12"]))
COLUMNS = st.sets(st.sampled_from([("p", "user", ("1",)), ("p", "user", ("2",)), ("q", "user", ("1",))]))


@st.composite
def _effects(draw: st.DrawFn) -> tuple[Any, ...]:
    """(identity, mode, grants, emptied, policy, settings, guards, seconds): few values, so that equal pairs come up."""
    mode = draw(st.sampled_from([Mode.STRICT, Mode.EMPTYING]))
    emptied = draw(COLUMNS) if mode is Mode.EMPTYING else set()
    rest = (
        *(draw(st.sampled_from(["v1", "v2"])) for _ in range(2)),
        draw(st.sampled_from([5, 6])),
        draw(st.sampled_from([60, 61])),
    )
    return draw(st.sampled_from(["me", "you"])), mode, frozenset(draw(KEYS)), frozenset(emptied), *rest


def _made(spec: tuple[Any, ...], turn: Callable[[list[Any]], list[Any]], make: Callable[..., Any]) -> Any:
    who, mode, grants, emptied, policy, settings, most, seconds = spec
    system = SystemEffects("s", "a", {"caller": who}, mode, turn(sorted(grants)), turn(sorted(emptied)))
    return make([system], policy_version=policy, settings=settings, guards={"total": most}, valid_for_s=seconds)


@examples(200)
@given(_effects(), _effects())
def test_the_bytes_change_when_and_only_when_an_effect_changes(one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    def turned(items: list[Any]) -> list[Any]:
        return [*reversed(items), *items[:1]]

    for other in (two, one):
        assert (_made(one, list, effects) == _made(other, turned, effects)) == (one == other)
    read = read_approved([_made(one, turned, effects)], "s", "a", one[2])
    assert (read.mode, read.grants, read.emptied) == (one[1], one[2], one[3])
