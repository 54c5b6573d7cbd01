"""Events that say who left: what is understood, what is left out, and that nothing of it is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.errors import InputError
from rescind.review import AdmittedRoster, RosterLimits, RosterOptions, admit_roster, read_roster_csv
from rescind.workflow.offboarding.leaver_events import LeaverEvent, digest_of, only_from, read_events, take, told

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROSTER = """person_id,name,email,status,kind,dms_user_id
P1,Ada Amber,ada@example.com,active,human,51001
P2,Bo Birch,bo@example.com,left,human,51002
P3,Bo Birch,bo2@example.com,active,human,51003
"""
BASE = {"systems": ["dms_permissions"]}


@pytest.fixture(scope="module")
def roster() -> AdmittedRoster:
    options = RosterOptions(id_columns={"dms_user_id": "dms_user_id"})
    limits = RosterLimits(min_people=1, max_age=timedelta(hours=1), max_leaver_percent=90)
    read = read_roster_csv(ROSTER.encode(), source="roster.csv", options=options)
    return admit_roster(read, limits, as_of=NOW, now=NOW)


def event(extra: Any, seconds: float = 0.0, dag: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(timestamp=NOW + timedelta(seconds=seconds), extra=extra, source_dag_id=dag)


def posted(*principals: Any, **more: Any) -> SimpleNamespace:
    return event({"principals": list(principals), "from_rest_api": True, **more})


@pytest.mark.parametrize(
    "names",
    [
        ["P1"],
        ["person_id:P1", "dms_user_id:51002"],
        ["ada@example.com"],
        ["Ada Amber"],
        ["dms_user_id:99999"],
        ["dms_permissions:user:51001"],
    ],
)
def test_names_are_taken_as_the_form_takes_them(names: list[str], roster: AdmittedRoster) -> None:
    taken = take(read_events([posted(*names, reason="last day", ticket="HR-7")]), BASE, roster, 20)
    assert (list(taken.request.principals), taken.request.reason, taken.request.ticket) == (names, "last day", "HR-7")
    assert taken.request.kind == "targets" and taken.request.dry_run is True and taken.request.automatic is False
    assert taken.events[0].aside == ()


NEST: Any = []
for _ in range(300):
    NEST = [NEST]

UNREADABLE: list[Any] = [
    None,
    [],
    "P1",
    {},
    {"principals": []},
    {"principals": "P1"},
    {"principals": [7]},
    {"principals": [True]},
    {"principals": [None]},
    {"principals": {"P1": "P2"}},
    {"principals": NEST},
    {"principals": [["P1"]]},
    {"principals": ["P1"], "reason": 5},
    {"principals": ["P1"], "reason": None},
    {"principals": ["P1"], "reason": "x" * 501},
    {"principals": ["P1"], "ticket": "a b"},
    {"principals": ["P1"], "ticket": "../../x\n"},
    {"principals": ["P1"], "dry_run": False},
    {"principals": ["P1"], "automatic": True},
    {"principals": ["P1"], "resources": ["r"]},
    {"principals": ["P1"], "systems": []},
    {"principals": ["P1"], "max_percent": 100},
    {"principals": ["P1"], "kind": "policy"},
    {"principals": ["P1"], "<b>{{ 1 }}\n</b>": 1},
    {"principals": [f"P{number}" for number in range(1001)]},
    {"from_trigger": True, "payload": {"data": '{"principals": ["P1"]}'}, "principals": ["P1"]},
    *({"principals": ["P1"], "reason": f"last{odd}day"} for odd in "\x00\n\x1b\x85\u200b\u202e\u2066\ufeff\ud800"),
    *({"principals": ["P1"], "ticket": f"HR{odd}7"} for odd in "\x00\u202e\ud800"),
]


@pytest.mark.parametrize("extra", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_is_not_of_the_documented_form_is_left_out_as_a_whole(extra: Any, roster: AdmittedRoster) -> None:
    if isinstance(extra, dict):
        extra = {**extra, "from_rest_api": True}
    bad, good = read_events([event(extra), event({"principals": ["P2"], "from_rest_api": True}, 1)])
    assert bad.said is None and len(bad.aside) == 1
    assert not any(mark in bad.aside[0] for mark in ("P1", "<", "{", "\n", "dry_run", "kind"))
    taken = take([bad, good], BASE, roster, 20)
    assert taken.request.principals == ("P2",)
    assert told(taken.events[0].record()).startswith("event of 2026-03-02 09:00:00 UTC: ")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " P1",
        "P1 ",
        "P1\nP2",
        "*",
        "%",
        "nobody",
        "person_id:nobody",
        "no_space:1",
        "Bo Birch",
        "P" * 600,
        "../etc",
        "{{ conn.x.password }}",
        "<script>alert(1)</script>",
        "person_id:",
        "dms_permissions:7",
        "dms_permissions:group:7",
        "dms_permissions:everyone:*",
        "dms_permissions:unknown:7",
        "wedata_privileges:role:7",
        "quickbi_menus:organization:7",
        "\u202eP1",
        "P1\x00",
    ],
)
def test_a_name_that_cannot_be_used_is_left_out_alone(name: str, roster: AdmittedRoster) -> None:
    taken = take(read_events([posted("P1", name, "P2")]), BASE, roster, 20)
    assert taken.request.principals == ("P1", "P2")
    (why,) = taken.events[0].aside
    assert why.startswith("name 2: ") and why.isprintable() and len(why) <= 300
    assert taken.events[0].record()["people"] == 2


def test_two_people_of_one_name_are_nobody(roster: AdmittedRoster) -> None:
    with pytest.raises(InputError, match=r"name nobody who can be used: event of .*name 1: 'Bo Birch' is 2 people"):
        take(read_events([posted("Bo Birch")]), BASE, roster, 20)


def test_every_event_is_taken_once_in_the_order_of_time(roster: AdmittedRoster) -> None:
    found = [event(posted("P2").extra, 2), posted("P1", ticket="A"), posted("P1", ticket="A"), posted("P1", ticket="B")]
    events = read_events(found)
    assert len(events) == 3 and [one.at for one in events] == sorted(one.at for one in events)
    taken = take(events, BASE, roster, 2)
    assert set(taken.request.principals) == {"P1", "P2"}
    assert taken.request.ticket == "" and "(ticket A)" in taken.request.reason and "(ticket B)" in taken.request.reason


def test_the_limit_counts_different_names_of_all_events(roster: AdmittedRoster) -> None:
    events = read_events([posted("P1"), event(posted("P2").extra, 1), event(posted("P1").extra, 2)])
    assert len(take(events, BASE, roster, 2).request.principals) == 2
    with pytest.raises(InputError, match=r"2 of them different, are more than 1\. .*event_max_people"):
        take(events, BASE, roster, 1)


def test_an_event_that_alone_names_too_many_is_left_out_with_its_reason(roster: AdmittedRoster) -> None:
    many, one = posted("P1", "ada@example.com", "P3"), event(posted("P2", "P2", "P2").extra, 1)
    taken = take(read_events([many, one]), BASE, roster, 2)
    assert taken.request.principals == ("P2",)
    assert [found.record()["people"] for found in taken.events] == [0, 3]
    (why,) = taken.events[0].aside
    assert why.startswith("its 3 different names are more than the setting 'event_max_people' allows (2)")
    assert taken.events[1].aside == ()
    with pytest.raises(InputError, match=r"they name nobody who can be used: event of .*'event_max_people'"):
        take(read_events([many]), BASE, roster, 2)


@pytest.mark.parametrize("reason", ["离职　今天", "último día", "dernier jour\u00a0!", "👋 last day"])
def test_a_reason_may_be_of_any_language(reason: str, roster: AdmittedRoster) -> None:
    assert take(read_events([posted("P1", reason=reason)]), BASE, roster, 2).request.reason == reason


@pytest.mark.parametrize(
    ("extra", "dag", "way"),
    [
        ({"from_rest_api": True}, None, "rest_api"),
        ({"from_rest_api": True, "from_trigger": True}, None, "rest_api"),
        ({"from_rest_api": True}, "a_dag", "rest_api"),
        ({"from_trigger": True}, None, "queue"),
        ({"from_trigger": True}, "a_dag", "dag"),
        ({"from_rest_api": False}, None, "unknown"),
        ({}, None, "unknown"),
        ({}, "a_dag", "dag"),
    ],
)
def test_how_an_event_came_is_what_airflow_says(extra: dict[str, Any], dag: str | None, way: str) -> None:
    (found,) = read_events([event(extra, dag=dag)])
    assert found.way == way


SAID = {"principals": ["P1"], "ticket": "HR-9"}
MESSAGES: list[tuple[Any, bool]] = [
    (SAID, True),
    (json.dumps(SAID), True),
    ({"type": "message", "channel": "leavers", "pattern": None, "data": json.dumps(SAID)}, True),
    ({"MessageId": "1", "Body": json.dumps(SAID)}, True),
    ({"key": "k", "value": json.dumps(SAID)}, True),
    ({"data": json.dumps(SAID), "Body": json.dumps(SAID)}, False),
    ({"data": SAID}, False),
    ({"data": "P1"}, False),
    ({"data": '["P1"]'}, False),
    ({"data": '{"principals": ["P1"], "principals": ["P2"]}'}, False),
    ({"data": "[" * 60_000}, False),
    ({"data": json.dumps({**SAID, "reason": " " * 70_000})}, False),
    ({"data": json.dumps({**SAID, "dry_run": False})}, False),
    ({"data": json.dumps({**SAID, "from_rest_api": True})}, False),
    ({"data": None}, False),
    (None, False),
    (7, False),
]


@pytest.mark.parametrize(("payload", "usable"), MESSAGES, ids=range(len(MESSAGES)))
def test_a_message_of_a_queue(payload: Any, usable: bool) -> None:
    (found,) = read_events([event({"from_trigger": True, "payload": payload})])
    assert found.way == "queue"
    if usable:
        assert found.said == LeaverEvent(principals=("P1",), ticket="HR-9") and found.aside == ()
    else:
        assert found.said is None and len(found.aside) == 1 and "P1" not in found.aside[0]


def test_only_the_senders_of_the_setting_count(roster: AdmittedRoster) -> None:
    known, other, nobody = (
        one.sent_by(by)
        for one, by in zip(
            read_events([posted("P1"), event(posted("P2").extra, 1), event(posted("P3").extra, 2)]),
            ("hr-sync", "omar", ""),
            strict=True,
        )
    )
    assert only_from([known, other, nobody], ()) == [known, other, nobody]
    kept = only_from([known, other, nobody], ("hr-sync",))
    assert [one.said is not None for one in kept] == [True, False, False]
    assert take(kept, BASE, roster, 20).request.principals == ("P1",)
    assert [one.said for one in only_from([nobody], ("",))] == [None]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_JSON, st.sampled_from(["from_rest_api", "from_trigger", "none"]))
def test_whatever_is_sent_gives_names_or_a_reason(roster: AdmittedRoster, sent: Any, mark: str) -> None:
    extra = {**sent, mark: True} if isinstance(sent, dict) else {"principals": sent, mark: True}
    if mark == "from_trigger":
        extra = {mark: True, "payload": sent}
    (found,) = read_events([event(extra)])
    assert (found.said is None) is bool(found.aside)
    assert all(why.isprintable() for why in found.aside)
    assert len(digest_of(extra)) == 64
