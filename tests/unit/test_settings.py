"""Settings and trigger form: closed models, clear errors, and a run that can only narrow."""

from __future__ import annotations

import json

import pytest

from rescind.errors import ConfigurationError, InputError
from rescind.settings import ReviewRequest, Settings
from rescind.workflow.restore_planner import RestoreRequest

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
