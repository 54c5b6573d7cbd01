"""What the page asks Airflow's auth manager, question by question; test_auth asks a whole API server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

from rescind.web.access import base_origin, form_key, may_answer, readable

# Airflow's API server imports Starlette's test client.
pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient."),
]
DAGS = ("access_review", "revoke_access")


def asked(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> tuple[frozenset[str], list[Any]]:
    """What is readable when the manager answers so, by DAG, and its questions."""
    questions: list[Any] = []

    def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> Any:
        questions.append((method, access_entity, details.id, user))
        return answers[details.id]

    manager = SimpleNamespace(is_authorized_dag=is_authorized_dag)
    monkeypatch.setattr("airflow.api_fastapi.app.get_auth_manager", lambda: manager)
    return readable("vera", DAGS), questions


def test_the_right_that_counts_is_to_read_the_runs_of_each_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    found, questions = asked(monkeypatch, {"access_review": True, "revoke_access": False})
    assert found == {"access_review"}
    assert questions == [("GET", DagAccessEntity.RUN, dag, "vera") for dag in DAGS]


def test_the_right_to_choose_lines_is_that_to_answer_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    _, questions = asked(monkeypatch, {"access_review": True, "revoke_access": False})
    questions.clear()
    assert may_answer("vera", "access_review") and not may_answer("vera", "revoke_access")
    assert questions == [("PUT", DagAccessEntity.HITL_DETAIL, dag, "vera") for dag in DAGS]


def test_the_key_of_forms_and_the_origin_are_those_of_airflows_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def configured(secret: str, base: str) -> tuple[bytes, str]:
        monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", secret)
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
        return form_key(), base_origin()

    first = configured("a" * 32, "HTTPS://Airflow.example.org:8443/below/it")
    assert len(first[0]) == 32 and first[1] == "https://airflow.example.org:8443"
    other = configured("b" * 32, "/below")
    assert other[0] != first[0] and other[1] == ""
    with pytest.raises(RuntimeError, match="secret_key"):
        configured("", "http://h")


@pytest.mark.parametrize("answer", [False, None, "", 0, 1, "no", object(), [False]])
def test_only_true_is_an_answer(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    assert asked(monkeypatch, {"access_review": answer, "revoke_access": True})[0] == {"revoke_access"}
