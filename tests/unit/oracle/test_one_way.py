"""One way in and no other: the package finds it in a world where nothing else would show it, and a fault is found out.

The same emulator, messages and code as in a whole review, in this process. Of each way, the world is searched in which
the oracle knows exactly that one once the person's own record is gone; every surface of the system is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest

from emulator.app import App, Settings
from emulator.gateway.wire import Request
from emulator.snapshot import snapshot
from rescind.cloud.client import CloudClient
from rescind.cloud.clients import DmsClient, QuickBiClient, WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.model import Grant, Membership, PrincipalType
from rescind.systems import REGISTRY, system_named
from rescind.systems.dms import permissions
from rescind.systems.effective import EffectiveAccess, Found, RemainingAccess, access_around
from rescind.systems.population import Population
from rescind.systems.quickbi import menu_listing, menus, people
from rescind.systems.surfaces import CERTAIN_IN, UNCERTAIN, PlatformAnswer, unasked
from rescind.systems.wedata import data_sources, privileges, projects
from tests.support.ledger.pacing import FreePacer
from tests.support.oracle import effective, judge
from tests.support.oracle.organizations import SMALL, Planted, place, planted
from tests.support.sink import Lists

PLAIN = replace(SMALL, leavers_in_groups=0, open_menus=0, dms_expired=0, projects=8)
SHARED = "share_organization"
"""A portal is shared with the organization, and nothing else names the organization: who is in it, the share tells."""
NO_LIMITS = dict.fromkeys(("wedata", "dms", "quickbi", "tencent-sts", "alibaba-sts"), 0.0)
CLIENTS: dict[str, tuple[type[CloudClient], dict[str, str]]] = {
    "wedata_privileges": (WeDataClient, {"region": "ap-singapore", "edition": "international"}),
    "wedata_data_sources": (WeDataClient, {"region": "ap-singapore", "edition": "international"}),
    "dms_permissions": (DmsClient, {}),
    "quickbi_menus": (QuickBiClient, {"region": "cn-hangzhou"}),
}
ALIBABA = {"login": "LTAIDEMO00000000000001", "password": "alibaba-demo-secret-1"}
TENCENT = {"login": "AKIDDEMO0000000000000000000000001", "password": "tencent-demo-secret-1"}
IDS = {
    "quickbi_menus": "quickbi_user_id",
    "dms_permissions": "dms_user_id",
    "wedata_privileges": "wedata_user_id",
    "wedata_data_sources": "wedata_user_id",
}


class World:
    """An organization in this process, and the package's view of it.

    :param system: the system whose way is planted.
    :param certain: whether the sharing mode of data sources counts as known, which no action shows: every person
        with an entry of a project would be in doubt, and no way be the only one.
    """

    def __init__(self, app: App, system: str, certain: bool) -> None:
        self.app, self.system, self.certain = app, system_named(system), certain

    def dump(self) -> dict[str, Any]:
        return snapshot(self.app.world)

    def client(self) -> CloudClient:
        def network(request: httpx.Request) -> httpx.Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            query = request.url.query.decode()
            answer = self.app.handle(Request(request.method, request.url.path, query, headers, request.content))
            return httpx.Response(answer.status, content=answer.body, headers={"content-type": answer.content_type})

        kind, extra = CLIENTS[self.system.name]
        keys = TENCENT if kind is WeDataClient else ALIBABA
        vendor = {WeDataClient: "wedata", DmsClient: "dms", QuickBiClient: "quickbi"}[kind]  # type: ignore[index]
        settings = ClientSettings.from_fields(vendor, {**keys, **extra})
        return kind(settings, pacer=FreePacer(), transport=httpx.MockTransport(network))

    def discovered(self) -> tuple[Lists, Population, dict[str, str]]:
        """What was found, what is known of the reading, and the surfaces that were not asked."""
        sink = Lists()
        found = Population(sink)
        asyncio.run(self.system.discover(self.client(), found))
        if self.certain:
            doubtful = {grant.key for grant in sink.grants if UNCERTAIN in grant.attributes}
            doubtful -= {grant.key for grant in sink.grants if CERTAIN_IN in grant.attributes}
            sink.grants = [grant for grant in sink.grants if grant.key not in doubtful]
        return sink, found, unasked(self.system.surfaces, found.surfaces)

    def answer(self, grant: Grant) -> PlatformAnswer:
        return asyncio.run(self.system.ask_platform(self.client(), [grant]))


@cache
def seed_of(system: str, kind: str) -> int:
    """The first organization in which this way, planted alone, is the only one, and nothing else is in doubt."""
    for seed in range(1, 60):
        world, one = _planted(seed, system, kind)
        resource, entitlement = place(one)
        _take_away(world, one)
        paths = effective(world.dump(), system, str(one.person[IDS[system]]), resource, entitlement)
        if [path.kind for path in paths] == [_oracle_name(kind)] and (
            kind in DOUBTFUL.get(system, ()) or not looked_at(system, kind, own_answer=False, seed=seed)[0].unanswered
        ):
            return seed
    raise LookupError(f"no organization has {kind} of {system} as the only way")


def _oracle_name(kind: str) -> str:
    name, _, rest = kind.partition("_")
    return name if name in ("owner", "role", "share") and rest else kind


def _planted(seed: int, system: str, kind: str) -> tuple[World, Planted]:
    app = App(Settings(seed=seed, sizes=PLAIN, limits=dict(NO_LIMITS), modes={}))
    dump = snapshot(app.world)
    base = "share" if kind == SHARED else kind
    (one,) = [one for one in planted(dump, seed) if (one.system, one.kind) == (system, base)]
    # The workspaces of white lists would show portals to every member of a workspace.
    others = [{"op": "white_list", "remove": True, **row} for row in dump["quickbi_white_lists"]]
    if kind == SHARED:
        record, share = one.operations
        everybody = {"receiver_type": 2, "receiver_id": dump["organization_id"]}
        one = replace(one, operations=(record, {**share, **everybody}))
        named = [row for row in dump["quickbi_menus"] if row["receiver_type"] == 2]
        others += [{"op": "revoke", "system": "quickbi_menus", **row} for row in named]
    app.gateway.mutations.run([*others, *one.operations], "the generator")
    return World(app, system, kind not in DOUBTFUL.get(system, ())), one


def _take_away(world: World, one: Planted) -> None:
    record = {name: value for name, value in one.operations[0].items() if name not in ("op", "system")}
    if one.system == "dms_permissions":
        rows = [row for row in world.dump()["dms_permissions"] if record.items() <= row.items()]
        record = max(rows, key=lambda row: int(row["user_access_id"]))
    world.app.gateway.mutations.run([{**record, "op": "revoke", "system": one.system}], "the review")


def looked_at(system: str, kind: str, *, own_answer: bool, seed: int = 0) -> tuple[Found, list[str]]:
    """What the package says once the person's record is gone, and what the oracle says of that.

    :param own_answer: whether the platform's own answer counts; it would show ways that the graph misses.
    :param seed: the organization; 0 for that of :func:`seed_of`.
    """
    world, one = _planted(seed or seed_of(system, kind), system, kind)
    before = world.dump()
    sink, reading, missing = world.discovered()
    assert missing == {}, "every surface was asked"
    _take_away(world, one)
    left = {grant.key for grant in world.discovered()[0].grants}
    (gone,) = [grant for grant in sink.grants if grant.key not in left]
    rest = [grant for grant in sink.grants if grant.key in left]
    linked = [_same_person(world, gone, one.person)] if world.system.member_space else []
    graph = access_around(world.system, [gone], rest, sink.memberships, linked)
    answer = world.answer(gone) if own_answer else PlatformAnswer()
    found = EffectiveAccess(graph, answer, missing, reading.gaps).of(gone)
    verdict = "still_effective" if found.paths else "record_gone" if found.unanswered else "verified_gone"
    row = {
        "system": system, "principal_type": "user", "principal_id": gone.key.principal_id, "verdict": verdict,
        "resource_type": gone.key.resource_type, "resource_id": gone.key.resource_id, "native_id": gone.key.native_id,
        "entitlement": gone.key.entitlement, "container": gone.cell.container, "column": list(gone.cell.column),
        "absent": {"effective": found.absent}, "remains": found.paths[0] if found.paths else "",
    }  # fmt: skip
    return found, judge(before, world.dump(), [row])


def _same_person(world: World, gone: Grant, person: Any) -> Membership:
    ident, uin = gone.key.principal_id, str(person["wedata_uin"])
    return Membership(gone.key.system, gone.key.account, PrincipalType.USER, ident, PrincipalType.USER, uin)


# --- ways that the graph of the listings shows -----------------------------------------------------------

GRAPH = {
    "quickbi_menus": [
        "group", "group_nested", "organization", "workspace", "white_list", "share", "portal_owner", "open_menu",
        "workspace_owner", "workspace_admin", "workspace_developer", "organization_admin", "permission_admin", SHARED,
    ],
    "dms_permissions": [
        "owner_database", "owner_logic_database", "owner_instance", "dba", "proxy", "record_above", "role_dba",
        "role_admin",
    ],
    "wedata_privileges": ["inherited", "broader", "everyone", "project", "role", "role_owner", "role_creator"],
    "wedata_data_sources": ["other_entry", "project", "creator", "administrator"],
}  # fmt: skip
ANSWERED = {"dms_permissions": ["owner_table", "owner_logic_table", "policy", "policy_role"]}
"""Ways that only the platform's own answer shows."""
DOUBTFUL = {"wedata_privileges": ["platform_role"], "wedata_data_sources": ["creating_project"]}
"""Ways that nothing shows for certain: the record is gone and access is not proven gone."""


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(system, kind) for system, kinds in table.items() for kind in kinds]


def test_every_way_that_can_be_planted_is_here() -> None:
    known = {*pairs(GRAPH), *pairs(ANSWERED), *pairs(DOUBTFUL)}
    app = App(Settings(seed=1, sizes=PLAIN, limits=dict(NO_LIMITS), modes={}))
    every = {(one.system, one.kind) for one in planted(snapshot(app.world), 1)}
    assert every - known == {("quickbi_menus", "direct")}, "the record itself is no way that remains"
    assert known - every == {("quickbi_menus", SHARED)}


@pytest.mark.parametrize(("system", "kind"), pairs(GRAPH))
def test_the_only_way_is_found_without_the_platforms_own_answer(system: str, kind: str) -> None:
    found, wrong = looked_at(system, kind, own_answer=False)
    assert len(found.paths) >= 1 and found.absent is False and wrong == []


@pytest.mark.parametrize(("system", "kind"), pairs(ANSWERED))
def test_the_only_way_is_found_by_the_platforms_own_answer(system: str, kind: str) -> None:
    found, wrong = looked_at(system, kind, own_answer=True)
    assert len(found.paths) == 1 and wrong == []
    _, wrong = looked_at(system, kind, own_answer=False)
    assert len(wrong) == 1 and wrong[0].startswith("false gone")


@pytest.mark.parametrize(("system", "kind"), pairs(DOUBTFUL))
def test_a_way_that_cannot_be_seen_for_certain_is_never_called_gone(system: str, kind: str) -> None:
    found, wrong = looked_at(system, kind, own_answer=True)
    assert found.paths == () and found.unanswered and wrong == []


# --- each way, not looked for ----------------------------------------------------------------------------


def _asks_only(surface: str) -> Callable[..., None]:
    """Reads nothing, and says that the surface was asked."""

    def instead(*given: Any) -> None:
        next(one for one in given if isinstance(one, Population)).asked(surface)

    return instead


async def _no_proxies(walker: Any, tid: str, people: Any, found: Population) -> None:
    found.asked("secure access proxies")


async def _no_receivers(*_: Any) -> list[Any]:
    return []


async def _unheard_receivers(*given: Any) -> list[Any]:
    await portal_receivers(*given)
    return []


portal_receivers = menus.portal_receivers


def _no_members(walker: Any, *edge: str) -> Membership:
    return Membership("quickbi_menus", "elsewhere", "user", "nobody", edge[2], edge[3])


def _no_groups_in_groups(walker: Any, *edge: str) -> Membership:
    return _no_members(walker, *edge) if edge[0] == "group" else people_membership(walker, *edge)


people_membership = people.membership


Fault = Callable[[pytest.MonkeyPatch], None]


def _with(module: Any, name: str, instead: Any) -> Fault:
    return lambda patch: patch.setattr(module, name, instead)


MENUS, DMS = type(REGISTRY["quickbi_menus"]), type(REGISTRY["dms_permissions"])
NO_ROLES = _with(menus, "organization_roles", _asks_only("organization roles"))
NO_SPACE_ROLES = _with(people, "workspace_roles", lambda *_: set())
FLAT = _with(RemainingAccess, "_holders", lambda _, principal: iter([((), principal)]))
NO_MEMBERS = _with(people, "membership", _no_members)
NO_OWNERS = _with(permissions, "owners", _asks_only("owners and DBAs"))
NO_TENANT_ROLES = _with(permissions, "tenant_roles", _asks_only("tenant roles"))
NO_EDGES = _with(projects, "_edges", lambda *_: ())
NO_DEFAULT = _with(data_sources, "_default_audience", lambda *_: ())
PORTAL_ONLY = _with(MENUS, "parents", lambda _, grant: [("portal", grant.cell.container)])
FAULTS: list[tuple[str, str, str, Fault]] = [
    ("quickbi_menus", "organization_admin", "roles not read", NO_ROLES),
    ("quickbi_menus", "permission_admin", "roles not read", NO_ROLES),
    ("quickbi_menus", "organization_admin", "no organization above a portal", PORTAL_ONLY),
    ("quickbi_menus", "organization_admin", "memberships not followed", FLAT),
    ("quickbi_menus", "workspace_admin", "roles not read", NO_SPACE_ROLES),
    ("quickbi_menus", "workspace_developer", "roles not read", NO_SPACE_ROLES),
    ("quickbi_menus", "workspace_owner", "roles not read", NO_SPACE_ROLES),
    ("quickbi_menus", "workspace_admin", "portal without roles", _with(menus, "portal_grants", lambda *_: ())),
    ("quickbi_menus", "portal_owner", "owner not read", _with(menus, "portal_grants", lambda *_: ())),
    ("quickbi_menus", "portal_owner", "nothing above a menu", _with(MENUS, "parents", lambda *_: ())),
    ("quickbi_menus", "group", "members not read", NO_MEMBERS),
    ("quickbi_menus", "group", "memberships not followed", FLAT),
    ("quickbi_menus", "group_nested", "groups in groups not read", _with(people, "membership", _no_groups_in_groups)),
    ("quickbi_menus", "group_nested", "memberships not followed", FLAT),
    ("quickbi_menus", "workspace", "members not read", NO_MEMBERS),
    ("quickbi_menus", "organization", "members not read", _with(menus, "membership", _no_members)),
    ("quickbi_menus", "white_list", "not read", _with(menus, "portal_receivers", _no_receivers)),
    ("quickbi_menus", "share", "not read", _with(menus, "portal_receivers", _no_receivers)),
    ("quickbi_menus", SHARED, "organization not known by it", _with(menus, "portal_receivers", _unheard_receivers)),
    ("quickbi_menus", "open_menu", "everybody not counted", _with(
        menu_listing, "_menu_grants", lambda account, portal, row, name: [
            menu_listing._grant(account, portal, row, receiver, name, True) for receiver in row.receivers])),
    ("dms_permissions", "owner_database", "owners not read", NO_OWNERS),
    ("dms_permissions", "owner_logic_database", "owners not read", NO_OWNERS),
    ("dms_permissions", "owner_instance", "owners not read", NO_OWNERS),
    ("dms_permissions", "owner_instance", "nothing above", _with(DMS, "parents", lambda *_: ())),
    ("dms_permissions", "owner_instance", "owners hold nothing", _with(
        DMS, "includes", lambda _, held, asked: held == asked)),
    ("dms_permissions", "dba", "DBAs not read", NO_OWNERS),
    ("dms_permissions", "proxy", "not read", _with(permissions, "proxy_accounts", _no_proxies)),
    ("dms_permissions", "record_above", "nothing above", _with(DMS, "parents", lambda *_: ())),
    ("dms_permissions", "role_dba", "roles not read", NO_TENANT_ROLES),
    ("dms_permissions", "role_admin", "roles not read", NO_TENANT_ROLES),
    ("dms_permissions", "role_admin", "memberships not followed", FLAT),
    ("wedata_privileges", "inherited", "nothing above", _with(
        privileges.WeDataPrivileges, "parents", lambda *_: ())),
    ("wedata_privileges", "broader", "equal rights only", _with(
        privileges.WeDataPrivileges, "includes", lambda _, held, asked: held == asked)),
    ("wedata_privileges", "everyone", "everybody not counted", FLAT),
    ("wedata_privileges", "project", "members not read", NO_EDGES),
    ("wedata_privileges", "role", "members not read", NO_EDGES),
    ("wedata_privileges", "role_owner", "owner not read", NO_EDGES),
    ("wedata_privileges", "role_creator", "creator not read", NO_EDGES),
    ("wedata_privileges", "platform_role", "holders taken as known", _with(
        RemainingAccess, "untraceable", lambda *_: {})),
    ("wedata_data_sources", "other_entry", "no way looked for", _with(RemainingAccess, "paths", lambda *_: [])),
    ("wedata_data_sources", "project", "members not read", NO_EDGES),
    ("wedata_data_sources", "creator", "default audience not read", NO_DEFAULT),
    ("wedata_data_sources", "administrator", "default audience not read", NO_DEFAULT),
    ("wedata_data_sources", "creating_project", "default audience not read", NO_DEFAULT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("system", "kind", "what", "fault"), FAULTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_way_that_is_not_looked_for_is_a_false_gone(
    monkeypatch: pytest.MonkeyPatch, system: str, kind: str, what: str, fault: Fault
) -> None:
    seed_of(system, kind)
    fault(monkeypatch)
    found, wrong = looked_at(system, kind, own_answer=False)
    assert found.absent is True, (what, found)
    assert len(wrong) == 1 and wrong[0].startswith("false gone")


def test_every_way_has_its_fault() -> None:
    faulty = {(system, kind) for system, kind, _, _ in FAULTS}
    assert faulty == {*pairs(GRAPH), *pairs(DOUBTFUL)}
