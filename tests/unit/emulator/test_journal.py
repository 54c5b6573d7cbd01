"""The journal is the oracle: replaying its effects over the first truth gives the last one."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from emulator.app import App, Settings
from emulator.build.sizes import TINY
from emulator.clock import ManualClock
from emulator.world import SYSTEMS
from tests.support.emulator_client import Clients


def frozen(app: App) -> dict[str, Counter[str]]:
    """The truth, comparable."""
    return {system: Counter(json.dumps(row, sort_keys=True) for row in app.world.truth(system)) for system in SYSTEMS}


def random_calls(app: App, clients: Clients, rng: random.Random, number: int) -> None:
    """Writes of every kind, right and wrong ones, on rows of the truth."""
    for _ in range(number):
        system = rng.choice(SYSTEMS)
        rows = list(app.world.truth(system))
        if not rows:
            continue
        row, other = rng.choice(rows), rng.choice(rows)
        if system == "wedata_privileges":
            action = rng.choice(["RevokePrivileges", "AuthorizePrivileges"])
            clients.wedata(action, {
                "Resources": [{"ResourceType": item["resource_type"], "ResourceUri": item["resource_uri"]}
                              for item in (row, other)],
                "Subjects": [{"SubjectType": row["subject_type"], "SubjectValues": [row["subject_value"]]}],
                "Privileges": [{"Name": rng.choice([row["privilege"], "NEW"])}],
            })  # fmt: skip
        elif system == "wedata_data_sources":
            key = rng.choice(["RevokeProjectId", "RevokeUser", "Nonsense"])
            value = row["project_id"] if key == "RevokeProjectId" else f"{row['project_id']}_{row['user_id']}"
            clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": row["data_source_id"], key: value})
        elif system == "dms_permissions":
            base = {"UserId": row["user_id"], "DsType": row["ds_type"], "PermTypes": row["perm_type"]}
            if rng.random() < 0.5:
                clients.dms("RevokeUserPermission", UserAccessId=row["user_access_id"], **base)
            else:
                clients.dms("GrantUserPermission", InstanceId=row["instance_id"], DbId=row["db_id"] or "0",
                            TableId=row["table_id"] or "0", ExpireDate="2031-01-01 00:00:00", **base)  # fmt: skip
        else:
            action = rng.choice(["CancelAuthorizationMenu", "AuthorizeMenu"])
            name = "UserIds" if row["receiver_type"] == 0 else "UserGroupIds"
            clients.quickbi(action, DataPortalId=row["portal_id"], MenuIds=f"{row['menu_id']},{other['menu_id']}",
                            **{name: row["receiver_id"]})  # fmt: skip


def replay(start: dict[str, Counter[str]], entries: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """The truth after the effects of a journal."""
    for entry in entries:
        if entry["kind"] == "effect" and entry["system"] in start:
            text = json.dumps(entry["grant"], sort_keys=True)
            start[entry["system"]][text] += 1 if entry["op"] == "added" else -1
    return {system: +rows for system, rows in start.items()}


def test_effects_explain_the_truth(app: App, clients: Clients) -> None:
    """After hundreds of random writes the journal and the truth agree to the row."""
    start = frozen(app)
    for seed in range(3):
        random_calls(app, clients, random.Random(seed), 120)
    entries = app.world.journal.after(0)
    assert len([entry for entry in entries if entry["kind"] == "effect"]) > 150
    assert replay(start, entries) == frozen(app)
    assert app.world.counts() == {system: sum(rows.values()) for system, rows in frozen(app).items()}


def test_every_effect_names_its_request(app: App, clients: Clients) -> None:
    """Numbers without gaps; an effect's cause is the entry before it; refused calls have no effect."""
    random_calls(app, clients, random.Random(7), 100)
    entries = app.world.journal.after(0)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    by_seq = {entry["seq"]: entry for entry in entries}
    for entry in entries:
        if entry["kind"] == "effect":
            cause = by_seq[entry["cause"]]
            assert (cause["request_id"], cause["executed"]) == (entry["request_id"], True)
        elif entry["code"]:
            assert (entry["effects"], entry["executed"]) == (0, False)
        else:
            assert entry["effects"] == sum(1 for e in entries if e.get("cause") == entry["seq"])
    assert any(entry.get("code") for entry in entries)


def test_journal_is_read_by_parts_and_never_shows_secrets(app: App, clients: Clients) -> None:
    """after, limit and kind; no secret, token or signature in it."""
    random_calls(app, clients, random.Random(3), 20)
    first = clients.control("GET", "journal?limit=5")
    rest = clients.control("GET", f"journal?after={first['last']}")
    assert [entry["seq"] for entry in first["entries"]] == [1, 2, 3, 4, 5]
    assert rest["entries"][0]["seq"] == 6
    assert {entry["kind"] for entry in clients.control("GET", "journal?kind=request")["entries"]} == {"request"}
    text = json.dumps(app.world.journal.after(0))
    for secret in ("demo-secret", "Signature=", "authorization"):
        assert secret not in text


def test_the_file_holds_the_same_lines(tmp_path: Path) -> None:
    """With a path every entry is on disk as soon as the call is answered."""
    path = tmp_path / "journal.jsonl"
    app = App(Settings(sizes=TINY, journal=path), ManualClock())
    Clients(app).wedata("RevokeDataSourceAuthorization", {"DataSourceId": "65300"})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == app.world.journal.after(0)
    assert lines[0]["kind"] == "request"
    app.world.journal.close()


def test_changes_by_others_are_marked(app: App, clients: Clients) -> None:
    """A control entry with its actor; an unknown operation or object is refused with what is known."""
    row = clients.truth("quickbi_menus")[0]
    assert clients.control("POST", "mutate", {"actor": "owner", "ops": [{"op": "revoke", "system": "quickbi_menus",
                                                                         **row}]}) == {"changed": [True]}  # fmt: skip
    entries = app.world.journal.after(0)
    assert [entry["kind"] for entry in entries] == ["control", "effect"]
    assert {entry["actor"] for entry in entries} == {"owner"}
    from emulator.gateway.wire import Request

    for bad in ({"op": "explode"}, {"op": "revoke", "system": "quickbi_menus", "portal_id": "none"}):
        answer = app.handle(Request("POST", "/_control/mutate", "", {}, json.dumps(bad).encode()))
        assert answer.status == 400
        assert "error" in json.loads(answer.body)


def test_the_truth_by_parts(app: App, clients: Clients) -> None:
    """One system, a slice of it, numbers only, and what decides about access beside the grants."""
    rows = clients.truth("quickbi_menus")
    assert clients.control("GET", "truth?system=quickbi_menus") == {"quickbi_menus": rows}
    assert clients.control("GET", "truth?system=quickbi_menus&offset=3&limit=4")["quickbi_menus"] == rows[3:7]
    assert clients.control("GET", "truth?count=1") == app.world.counts()
    extra = clients.control("GET", "truth?extra=1")
    assert len(extra["quickbi_open_menus"]) == 1
    assert {row["group_id"] for row in extra["quickbi_group_members"]} == set(app.world.quickbi.groups)
    assert len(extra["wedata_data_source_sharing"]) == len(app.world.data_sources.sources)
