"""Settings and trigger form: closed models, clear errors, and a run that can only narrow."""

from __future__ import annotations

import pytest

from rescind.errors import ConfigurationError, InputError
from rescind.settings import ReviewRequest, Settings

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
    "raw", [[], "x", {"approvers": "ada"}, {"max_percent": 200}, {"conections": {}}, {"connections": {"a": []}}]
)
def test_bad_settings_are_a_configuration_error(raw: object) -> None:
    with pytest.raises(ConfigurationError, match="rescind_settings"):
        Settings.parse(raw, connections={})


def test_an_empty_file_setting_names_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match="'roster' is empty"):
        Settings().path("roster")
