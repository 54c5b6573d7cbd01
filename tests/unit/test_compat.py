"""What older versions of Airflow lack is replaced or refused; every import from Airflow was tried on the oldest one."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Variable
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, VariableResult

from rescind import compat
from rescind.airflow_support import lookups
from rescind.airflow_support.lookups import read_variable
from rescind.dag_parts.retry_policy import RetryAfterPolicy
from rescind.errors import ConfigurationError, RunInterruptedError
from tests.matrix import __main__ as matrix

ROOT = Path(__file__).resolve().parents[2]
TRIED = ROOT / "tests" / "matrix" / "airflow_names.txt"
pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("version", ["3.1.8", "3.1.7+composer", "3.0.6", "2.11.0"])
def test_an_airflow_that_hides_the_requester_is_refused_with_the_reason(version: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Airflow {version[:5]}.*requester.*another DAG.*3\.2\.2 or newer"):
        compat.require_supported(version, "1.21.0")


@pytest.mark.parametrize("version", ["3.2.2", "3.2.2+astro.1", "3.3.1+composer", "3.10.0", "4.0.0"])
def test_others_are_not(version: str) -> None:
    compat.require_supported(version, "1.13.0")


def test_a_provider_whose_questions_never_expire_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"providers-standard 1\.12\.3 is too old.*never expire.*>=1\.13"):
        compat.require_supported("3.2.2", "1.12.3")


def test_a_dag_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied folders pass by what pip requires, so the DAG file must not load."""
    from airflow.dag_processing.dagbag import DagBag

    for name in [name for name in sys.modules if name.startswith("rescind.dag_parts")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(compat, "OLDEST", (99, 0))
    compat.require_supported.cache_clear()
    bag = DagBag(dag_folder=str(ROOT / "dags" / "revoke_access.py"))
    assert bag.dags == {}
    (said,) = bag.import_errors.values()
    assert "is too old: it does not tell a task the requester" in said


@pytest.mark.parametrize(
    ("policies", "given"), [(True, {"retry_policy"}), (False, {"retry_exponential_backoff", "max_retry_delay"})]
)
def test_pauses_grow_with_and_without_retry_policies(
    monkeypatch: pytest.MonkeyPatch, policies: bool, given: set[str]
) -> None:
    from airflow.sdk import BaseOperator

    monkeypatch.setattr(compat, "RETRY_POLICIES", policies)
    arguments = compat.retry_arguments(RetryAfterPolicy(), timedelta(minutes=15))
    assert set(arguments) == given
    if not policies:
        task = BaseOperator(task_id="t", retries=2, **arguments)
        assert (task.retry_exponential_backoff, task.max_retry_delay) == (2.0, timedelta(minutes=15))


class Supervisor:
    """Answers what a task of Airflow 3.2 asks."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def send(self, message: Any) -> Any:
        assert message == GetVariable(key="rescind_stop")
        return self.answer


FOUND = VariableResult(key="rescind_stop", value="incident 17")
MISSING = ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)


@pytest.fixture
def without_keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Airflow 3.2: a Variable can be read, and the keys cannot be listed."""
    monkeypatch.delattr(Variable, "keys", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("answer", "there"), [(FOUND, True), (MISSING, False)])
def test_without_a_list_of_keys_the_variable_itself_is_asked_for(
    without_keys: pytest.MonkeyPatch, answer: Any, there: bool
) -> None:
    assert compat.variable_exists("rescind_stop", Supervisor(answer)) is there


@pytest.mark.parametrize("error", [ErrorType.API_SERVER_ERROR, ErrorType.PERMISSION_DENIED, ErrorType.GENERIC_ERROR])
def test_without_a_list_of_keys_no_answer_is_not_taken_for_no_variable(
    without_keys: pytest.MonkeyPatch, error: ErrorType
) -> None:
    without_keys.setattr(lookups, "_supervisor", lambda: Supervisor(ErrorResponse(error=error)))
    # What Airflow itself says while its server is away: there is no such Variable.
    without_keys.setattr(Variable, "get", lambda name, default: default)
    with pytest.raises(RunInterruptedError, match="does not say whether the Variable"):
        read_variable("rescind_stop")
    without_keys.setattr(lookups, "_supervisor", lambda: Supervisor(FOUND))
    with pytest.raises(RunInterruptedError, match="cannot be read"):
        read_variable("rescind_stop")


def airflow_names() -> Iterator[str]:
    """Every name that the package and the DAG files import from Airflow; the imports for types alone are left out."""
    for path in sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "dags").glob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        blocks = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        types = {id(node) for block in blocks for node in ast.walk(block)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "airflow":
                if id(node) not in types and path.name != "compat.py":
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "airflow")


def test_every_import_from_airflow_was_tried_on_the_oldest_version() -> None:
    new = sorted(set(airflow_names()) ^ set(TRIED.read_text(encoding="utf-8").split()))
    assert new == [], f"run make matrix; then bring {TRIED.name} up to date, or put the difference into compat.py"


def test_readme_and_compatibility_show_the_same_table_of_tried_pairs() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in matrix.PAGES]
    tables = [text.split(matrix.MARKS[0])[1].split(matrix.MARKS[1])[0] for text in texts]
    assert len(tables) == 2 and len(set(tables)) == 1
    rows = tables[0].removeprefix(matrix.HEAD).splitlines(keepends=True)
    assert [matrix.Pair(*row.split(" | ")[:2]) for row in (row.removeprefix("| ") for row in rows)] == matrix.PAIRS
    assert "FAILED" not in tables[0]
    for text in texts:
        assert matrix.written(text, {}) == text
        changed = matrix.written(text, {matrix.PAIRS[1]: "| new |\n"})
        assert changed == text.replace(rows[1], "| new |\n")
