"""The kill switch in Airflow's UI: the Variable ``rescind_stop``.

Set it (Admin, Variables) to a reason, or to JSON such as ``{"reason": "incident 17", "by": "ada"}``, and every run
stops between two calls within about two seconds. To continue, delete it or set it to an empty text or ``false``, and
start or clear the tasks that ended. Any other value stops: a value that nobody understands counts as set.

The Variable must be in Airflow's database, not in a secrets backend. The ledger's kill switch (``rescind ledger stop``)
is stronger: it is read in the transaction of every single intent, whatever Airflow does. If Airflow's API server
cannot be reached, sending continues for at most half a minute; then the task ends and is retried.
"""

from __future__ import annotations

import json
from typing import Any

from rescind.airflow_support.lookups import read_variable
from rescind.errors import RunStoppedError

STOP_VARIABLE = "rescind_stop"
_CONTINUE = (None, False, 0, "", "false", "0", "null", "none", "no", "off", "go")


class StopVariable:
    """Reads the Variable: the first time from every source of Airflow, afterwards from its database only."""

    def __init__(self) -> None:
        self._first = True

    def __call__(self) -> str:
        """Return the reason to stop, or an empty text.

        :raises RunInterruptedError: when Airflow does not answer.
        """
        value = read_variable(STOP_VARIABLE, every_source=self._first)
        self._first = False
        return stop_reason(value)


def refuse_if_set(variable: StopVariable) -> None:
    """Refuse to start while the kill switch is set.

    :raises RunStoppedError: when it is set.
    :raises RunInterruptedError: when Airflow does not answer.
    """
    if reason := variable():
        raise RunStoppedError(
            f"the Variable {STOP_VARIABLE!r} is set: {reason}. To continue, delete it under Admin, Variables"
        )


def stop_reason(value: Any) -> str:
    """Return the meaning of a value: the reason to stop, or an empty text to continue."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        value = parsed
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, dict):
        if value.get("stop") is False or value.get("stopped") is False:
            return ""
        by = f" (by {_plain(value['by'])})" if value.get("by") else ""
        return f"{_plain(value.get('reason') or 'no reason given')}{by}"
    if any(value is quiet or (type(value) is type(quiet) and value == quiet) for quiet in _CONTINUE) or (
        isinstance(value, str) and value.lower() in _CONTINUE
    ):
        return ""
    return _plain(value)


def _plain(value: Any) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in str(value))[:200].strip() or "no reason given"
