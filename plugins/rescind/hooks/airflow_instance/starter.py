"""Ask Airflow whether the requester of a run signed in to it.

``airflow dags trigger`` records a user of the operating system as the requester. A person who may use that command can
be any user of Airflow, also the approver. The task interface does not tell how a run was started; Airflow's API does.
"""

from __future__ import annotations

import logging
from typing import Literal, NamedTuple
from urllib.parse import quote

from airflow.sdk.exceptions import AirflowNotFoundException

from rescind.errors import ConfigurationError
from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION, FAILURES, airflow_api, what_failed
from rescind.settings import Settings

log = logging.getLogger(__name__)

_SIGNED_IN = ("ui", "rest_api")
_COMMAND_LINE = "cli"


class Requester(NamedTuple):
    """What is known about the requester of a run.

    :param standing: ``signed_in``, ``command_line``, ``no_user`` (what started the run may come from anybody), or
        ``unknown``.
    :param reason: a sentence for people, empty if the requester signed in.
    """

    standing: Literal["signed_in", "command_line", "no_user", "unknown"]
    reason: str = ""


def look_up_requester(dag_id: str, run_id: str, conn_id: str = AIRFLOW_CONNECTION) -> Requester:
    """Return whether the requester of a run signed in to Airflow. Never raises for an API that does not answer."""
    try:
        with airflow_api(conn_id) as api:
            path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
            by = str(api.get(path).raise_for_status().json()["triggered_by"])
    except AirflowNotFoundException:
        return _unknown(f"there is no connection {conn_id!r} to ask Airflow with")
    except FAILURES as error:
        return _unknown(f"connection {conn_id!r} does not let it be read ({what_failed(error)})")
    if by == _COMMAND_LINE:
        return Requester(
            "command_line",
            "The run was started with `airflow dags trigger`. Its requester is a user of an operating system, who"
            " may be any user of Airflow, also the approver.",
        )
    return (
        Requester("signed_in")
        if by in _SIGNED_IN
        else _unknown(f"Airflow says that the run was started by {by[:40]!r}")
    )


def judge_requester(found: Requester, person: str, settings: Settings) -> str:
    """Return the reason for the approver if a requester may be an unverified one, else an empty text.

    :raises ConfigurationError: when the setting ``requester_check`` refuses such a run.
    """
    nobody = {"command_line", "no_user"}
    refused = {"where_possible": nobody, "required": {*nobody, "unknown"}, "off": set()}
    if found.standing in refused[settings.requester_check]:
        raise ConfigurationError(
            f"requester {person!r} is unverified: {found.reason} Start the run in Airflow's UI or through its"
            " API, or make it a dry run. The setting 'requester_check' decides this"
        )
    if found.reason:
        log.warning("requester %r: %s", person, found.reason)
    return found.reason


def _unknown(why: str) -> Requester:
    return Requester("unknown", f"Whether the requester signed in to Airflow is not known: {why}.")
