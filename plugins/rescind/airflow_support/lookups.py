"""Look up Variables and connections where "not found" must not be confused with "Airflow does not answer".

``Variable.get`` and ``BaseHook.get_connection`` report "not found" for both.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.compat import variable_exists
from rescind.errors import RunInterruptedError


def read_variable(name: str, *, every_source: bool = True) -> Any:
    """Return the text of a Variable, or None when it does not exist.

    :param every_source: look into secrets backends and the environment too, not only into Airflow's database.
    :raises RunInterruptedError: when Airflow does not answer. Its database is asked first, which fails if the API
        server fails.
    """
    supervisor = _supervisor()
    if supervisor is None:
        return Variable.get(name, default=None)
    try:
        there = variable_exists(name, supervisor)
    except Exception as error:
        raise RunInterruptedError(f"Airflow does not say whether the Variable {name!r} is set: {error}") from error
    if not there and not every_source:
        return None
    value = Variable.get(name, default=None)
    if there and value is None:
        raise RunInterruptedError(f"the Variable {name!r} is set and cannot be read")
    return value


def connection_exists(conn_id: str) -> bool:
    """Return whether a connection exists.

    :raises RunInterruptedError: when Airflow does not answer.
    """
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return _known_to_supervisor(conn_id)
    return True


def _known_to_supervisor(conn_id: str) -> bool:
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

    supervisor = _supervisor()
    if supervisor is None:
        return False
    try:
        answer = supervisor.send(GetConnection(conn_id=conn_id))
    except Exception as error:
        raise RunInterruptedError(f"Airflow does not say whether the connection {conn_id!r} exists: {error}") from error
    if not isinstance(answer, ErrorResponse):
        return True
    if answer.error is ErrorType.CONNECTION_NOT_FOUND:
        return False
    raise RunInterruptedError(f"Airflow does not say whether the connection {conn_id!r} exists: {answer.error.value}")


def _supervisor() -> Any:
    """Return what an Airflow task asks for Variables and connections, or None outside of a task."""
    from airflow.sdk.execution_time import task_runner

    return getattr(task_runner, "SUPERVISOR_COMMS", None)
