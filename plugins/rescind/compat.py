"""What differs between the supported versions of Airflow, 3.2 and 3.3. No other module asks for a version.

============================  ==============================  =========================================
used for                      Airflow 3.3                     Airflow 3.2
============================  ==============================  =========================================
pause between tries           a retry policy asks the vendor  exponential backoff; a throttled bucket
                                                              stays closed in the ledger as asked
kill switch Variable          list of keys                    the Variable itself
run started by another DAG    ``operator_triggered``          ``manual``, with the first DAG's person
waiting for people            state ``awaiting_input``        state ``deferred``; needs a triggerer
bearer token beside a cookie  checked first                   the page checks it, see ``rescind.web``
============================  ==============================  =========================================

Older versions are refused: see :func:`require_supported`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from importlib import metadata
from typing import Any

from airflow import __version__ as AIRFLOW  # noqa: N812 - a constant of this module

from rescind.errors import ConfigurationError

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision as RetryDecision
    from airflow.sdk.definitions.retry_policy import RetryPolicy as RetryPolicy

    RETRY_POLICIES = True
except ImportError:  # before 3.3
    RetryDecision = RetryPolicy = object  # type: ignore[misc,assignment]
    RETRY_POLICIES = False

try:
    from airflow.sdk.exceptions import DagRunTriggerException as DagRunTriggerException
except ImportError:  # before 3.3
    from airflow.exceptions import DagRunTriggerException as DagRunTriggerException  # type: ignore[no-redef]

OLDEST = (3, 2)
OLDEST_STANDARD = (1, 13)
_STANDARD = "apache-airflow-providers-standard"


@cache
def require_supported(airflow: str = AIRFLOW, standard: str | None = None) -> None:
    """Refuse versions on which a safety rule would not hold, before a DAG is made.

    :param standard: version of the standard provider; None asks for the installed one.
    :raises ConfigurationError: names the version, what it lacks, and the version to install.
    """
    if release(airflow) < OLDEST:
        raise ConfigurationError(
            f"Airflow {airflow} is too old: it does not tell a task the requester of a run that another DAG started, "
            "who could then approve their own run. Use Airflow 3.2.2 or newer"
        )
    standard = metadata.version(_STANDARD) if standard is None else standard
    if release(standard) < OLDEST_STANDARD:
        raise ConfigurationError(
            f"{_STANDARD} {standard} is too old: its questions to people have no response_timeout, so an approval "
            f"would never expire. Install {_STANDARD}>=1.13"
        )


def release(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version, also of a vendor's own build such as ``3.3.1+composer``."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


RUN_BY_DAG = ["operator_triggered"] if release(AIRFLOW) >= (3, 3) else []
"""The run type of a run that another DAG started, to allow it. Airflow 3.2 has none: there it is ``manual``."""


def retry_arguments(policy: RetryPolicy, longest: timedelta) -> dict[str, Any]:
    """Return the operator arguments for pauses that grow with every try, up to ``longest``.

    :param policy: where Airflow has retry policies, it decides the pause.
    """
    if RETRY_POLICIES:
        return {"retry_policy": policy}
    return {"retry_exponential_backoff": 2.0, "max_retry_delay": longest}


def variable_exists(name: str, supervisor: Any) -> bool:
    """Return whether a Variable is in Airflow's database.

    Airflow 3.2 also counts one that only the API server's secrets backends hold.

    :param supervisor: what a task asks, with ``send``.
    :raises Exception: of any kind, when Airflow does not answer; never "no".
    """
    from airflow.sdk import Variable

    if hasattr(Variable, "keys"):
        return name in Variable.keys(prefix=name)
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable

    answer = supervisor.send(GetVariable(key=name))
    if isinstance(answer, ErrorResponse) and answer.error is not ErrorType.VARIABLE_NOT_FOUND:
        raise RuntimeError(answer.error.value)
    return not isinstance(answer, ErrorResponse)
