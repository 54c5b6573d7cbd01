"""What the page asks Airflow's auth manager, question by question; test_auth asks a whole API server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

from rescind.web.access import readable

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


@pytest.mark.parametrize("answer", [False, None, "", 0, 1, "no", object(), [False]])
def test_only_true_is_an_answer(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    assert asked(monkeypatch, {"access_review": answer, "revoke_access": True})[0] == {"revoke_access"}
