"""Settings and trigger form: closed models, clear errors, and a run that can only narrow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rescind.errors import ConfigurationError, InputError
from rescind.model import canonical
from rescind.settings import ReviewRequest, Settings
from rescind.settings.binding import FREE, Binding
from rescind.workflow.restore.request import RestoreRequest

SYSTEMS = ("wedata_privileges", "dms_permissions")


def _parse(kind: str = "targets", **fields: object) -> ReviewRequest:
    return ReviewRequest.parse(fields, kind=kind, systems=SYSTEMS)


def test_dry_run_is_the_default() -> None:
    assert _parse("policy").dry_run is True
    assert Settings().enforce_scheduled is False


def test_an_unknown_form_key_is_refused_by_name_and_without_its_value() -> None:
    with pytest.raises(InputError) as caught:
        _parse("policy", force="s3cret")
    assert "force" in str(caught.value) and "s3cret" not in str(caught.value)
    assert "Correct the field" in caught.value.remedy


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "principal"),
        ({"systems": ["dms_permissions"], "reason": "leaver today"}, "principal"),
        ({"principals": ["p1"], "reason": "no"}, "reason"),
        ({"principals": [" p1"], "reason": "leaver today"}, "principals"),
        ({"principals": ["p\n1"], "reason": "leaver today"}, "principals"),
        ({"principals": ["p1"], "reason": "leaver today", "ticket": "{{ 7*7 }}"}, "ticket"),
        ({"principals": ["p1"], "reason": "leaver today", "max_revocations": -1}, "max_revocations"),
        ({"principals": ["p1"], "reason": "leaver today", "max_percent": 101}, "max_percent"),
        ({"principals": ["p1"], "reason": "leaver today", "systems": ["oracle"]}, "systems"),
        ({"principals": [19], "reason": "leaver today"}, "principals"),
    ],
)
def test_bad_form_values_name_the_field(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InputError) as caught:
        _parse(**fields)
    assert named in str(caught.value)


def test_a_run_can_only_narrow_the_caps() -> None:
    settings = Settings(max_revocations=100, max_percent=10)
    assert _parse("policy").caps(settings) == (100, 10)
    assert _parse("policy", max_revocations=5, max_percent=50).caps(settings) == (5, 10)
    assert _parse("policy", max_revocations=0).caps(settings) == (0, 10)


@pytest.mark.parametrize(
    "raw",
    [
        [],
        "x",
        {"approvers": "ada"},
        {"approvers": ["ada", "Ada"]},
        {"approvers": ["ad\u0430"]},
        {"max_percent": 200},
        {"conections": {}},
        {"connections": {"a": []}},
    ],
)
def test_bad_settings_are_a_configuration_error(raw: object) -> None:
    with pytest.raises(ConfigurationError, match="rescind_settings"):
        Settings.parse(raw, connections={})


def test_an_empty_file_setting_names_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="'roster' is empty"):
        Settings().path("roster")


@pytest.mark.parametrize(
    ("field", "value", "seen", "remedy"),
    [
        ("dry_run", "no", "str", "true or false"),
        ("dry_run", "false", "str", "true or false"),
        ("dry_run", 0, "int", "true or false"),
        ("dry_run", [], "list", "true or false"),
        ("sparse", 1, "int", "true or false"),
        ("automatic", "yes", "str", "true or false"),
        ("ask_owners", "on", "str", "true or false"),
        ("max_revocations", True, "bool", "whole number"),
        ("max_revocations", "5", "str", "whole number"),
        ("max_percent", 5.0, "float", "whole number"),
        ("systems", "dms_permissions", "str", "list of texts"),
        ("systems", {"dms_permissions": 1}, "dict", "list of texts"),
        ("systems", [True], "bool", "text, in quotes"),
        ("reason", 7, "int", "text, in quotes"),
        ("ticket", False, "bool", "text, in quotes"),
    ],
)
def test_the_form_converts_nothing(field: str, value: object, seen: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        _parse("policy", **{field: value})
    assert caught.value.problem.startswith(field) and f"(got {seen})" in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dry_run", "no"), ("dry_run", 0), ("max_restores", True), ("max_restores", "5"), ("principals", [7]),
        ("grants", "a"), ("run", 17), ("reason", ["because of it"]),
    ],
)  # fmt: skip
def test_the_form_of_a_restore_converts_nothing(field: str, value: object) -> None:
    with pytest.raises(InputError) as caught:
        RestoreRequest.parse({"run": "17", "reason": "by mistake", field: value})
    assert caught.value.problem.startswith(field) and "(got " in caught.value.problem


def test_what_the_form_sends_is_taken_and_kept() -> None:
    """Airflow sends JSON: lists, true and false, whole numbers, empty texts."""
    sent = json.loads(
        '{"systems": ["dms_permissions"], "reason": "", "ticket": "", "dry_run": false, "automatic": true,'
        ' "ask_owners": true, "max_revocations": 0, "max_percent": 100, "sparse": false}'
    )
    request = _parse("policy", **sent)
    assert (request.systems, request.dry_run, request.max_revocations) == (("dms_permissions",), False, 0)
    stored = json.loads(json.dumps(request.model_dump(mode="json")))
    assert ReviewRequest.model_validate(stored) == request
    again = RestoreRequest.parse({"run": "17", "reason": "by mistake", "grants": ["ab"], "max_restores": 3})
    assert RestoreRequest.model_validate(json.loads(again.model_dump_json())) == again


def test_every_setting_says_whether_an_approval_covers_it() -> None:
    marks = {
        name: [m for m in field.metadata if isinstance(m, Binding)] for name, field in Settings.model_fields.items()
    }
    assert {name for name, found in marks.items() if len(found) != 1} == set()
    free = {name for name, found in marks.items() if found == [FREE]}
    # A setting joins this set only if it cannot change what may be removed, who may say so, or what counts as proof.
    # The approval keys are in it because they count at once: a rotation leaves approved runs valid, and a key that is
    # not accepted any more stops them. An approval needs a signature by one of them in any case.
    assert free == {
        "workers", "max_batches", "rows_per_call", "batch_seconds", "settle_in_place_seconds",
        "summaries", "evidence", "evidence_whole", "evidence_key_file", "evidence_key_conn_id", "evidence_retention",
        "time_source", "watch_days", "watch_alarm", "allow_single_writes", "notifications", "language", "time_zone",
        "approval_key_file", "approval_key_conn_id", "approval_public_keys",
    }  # fmt: skip
    assert set(Settings().bound()) == marks.keys() - free


def test_bound_settings_are_canonical_json_and_come_back() -> None:
    settings = Settings(
        approvers=("ada", "omar"),
        settle_seconds=0.05,
        record_gone_fails=("policy",),
        not_reviewed={"dms_permissions": ("i-1?x",)},
        automatic_approval={"max_revocations": 3, "max_percent": 1, "systems": ["a"], "only_rules": ["r"]},
    )
    canonical(settings.bound())
    other = Settings(approvers=("eve",), workers=9, settle_limit_seconds=1.5)
    kept = other.as_recorded(settings.bound())
    assert kept.bound() == settings.bound()
    assert kept.workers == 9


@pytest.mark.parametrize(
    "address",
    [
        "https://people.example.org/roster.csv?token=hunter2",
        "s3://reader:hunter2@bucket/roster.csv",
        {"conn_id": "people", "endpoint": "/export?key=hunter2", "format": "csv"},
    ],
)
def test_what_may_be_a_secret_in_an_address_is_recorded_as_a_digest(address: Any) -> None:
    text = json.dumps(Settings(roster=address).bound())
    assert "hunter2" not in text and "sha256-" in text
    changed = json.loads(json.dumps(address).replace("hunter2", "hunter3"))
    assert Settings(roster=changed).bound() != Settings(roster=address).bound()


CHAT = {"chat": "dingtalk", "conn_id": "ops"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "notifications.chats: is missing"),
        ({"chats": []}, "notifications.chats: has fewer than 1 entries"),
        (
            {"chats": [{"chat": "icq", "conn_id": "x"}]},
            r"chat: is not one of 'dingtalk', 'feishu', 'wecom' or 'teams'",
        ),
        ({"chats": [{**CHAT, "events": ["all"]}]}, "events.0: is not one of 'asked', 'reminder', 'answered'"),
        ({"chats": [{**CHAT, "events": []}]}, "events: has fewer than 1 entries"),
        ({"chats": [CHAT, CHAT]}, "a chat is listed twice"),
        ({"chats": [CHAT], "base_url": "https://me:pw@host/"}, "base_url: does not match the pattern"),
        ({"chats": [CHAT], "base_url": "javascript:x"}, "base_url: does not match the pattern"),
        ({"chats": [CHAT], "base_url": "https://host/a?b=c"}, "base_url: does not match the pattern"),
        ({"chats": [CHAT], "base_url": "https://host/a)\n"}, "base_url: does not match the pattern"),
        ({"chats": [CHAT], "remind_hours": 0}, "remind_hours: is below 1"),
    ],
)
def test_a_wrong_setting_of_notifications_is_named(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Settings.parse({"notifications": value}, connections={})


def test_messages_are_off_unless_a_chat_is_named_and_then_tell_of_everything() -> None:
    assert Settings().notifications is None
    found = Settings.parse({"notifications": {"chats": [CHAT]}}, connections={}).notifications
    assert found is not None and found.chats[0].events == ("asked", "reminder", "answered", "remains", "came_back")
    assert found.remind_hours == 8


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"max_revocations": "x"}, "max_revocations: is not a whole number"),
        ({"systems": "x"}, "systems: is not a list"),
        ({"dry_run": "maybe"}, "dry_run: is neither true nor false"),
        ({"until": "x"}, "until: is unknown"),
        ({"close_paths": "x"}, "close_paths: is not one of 'report', 'own' or 'all'"),
        ({"reason": "x" * 501}, "reason: is longer than 500 characters"),
        ({"ticket": "{x}"}, "ticket: does not match the pattern"),
    ],
)
def test_a_wrong_form_is_told_in_plain_words(form: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        ReviewRequest.parse({"principals": ["P1"], "reason": "a leaver", **form}, kind="targets", systems=())
    assert said in str(refused.value)
    assert not any(word in str(refused.value) for word in ("Input should", "String should", "Value error", "pydantic"))
