"""The trigger forms in other languages: their words change, what they send does not."""

from __future__ import annotations

from typing import Any

import pytest

from rescind.dag_parts import trigger_forms as forms

SHOWN = {"title", "description_md", "section", "values_display"}


def _fields() -> dict[str, Any]:
    made = [
        forms.system_param(), forms.target_params(), forms.reason_params(required=True), forms.review_params(),
        forms.dry_run_param(schedule="Mondays"), forms.cap_params(), forms.sparse_param(), forms.closing_param(),
    ]  # fmt: skip
    return {**forms.restore_params(), **{name: field for fields in made for name, field in fields.items()}}


@pytest.mark.parametrize("language", ["zh-CN", "ja"])
def test_only_what_people_read_is_translated(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.delenv(forms.LANGUAGE, raising=False)
    english = _fields()
    monkeypatch.setenv(forms.LANGUAGE, language)
    other = _fields()
    assert english.keys() == other.keys()
    for name, field in english.items():
        mine, theirs = field.schema, other[name].schema
        assert field.value == other[name].value
        assert {key: mine[key] for key in mine if key not in SHOWN} == {
            key: theirs[key] for key in theirs if key not in SHOWN
        }
        assert mine["description_md"] != theirs["description_md"]
    assert (
        english["close_paths"].schema["values_display"].keys() == other["close_paths"].schema["values_display"].keys()
    )
    monkeypatch.setenv(forms.LANGUAGE, "xx")
    assert _fields()["reason"].schema == english["reason"].schema
