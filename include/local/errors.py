"""Errors that a person at the command line sees: what is wrong, where, and what to do about it."""

from __future__ import annotations


class LocalError(Exception):
    """Base of every error of the one-machine stack.

    :param problem: what is wrong, naming the setting, file or process.
    :param remedy: what to do about it, as one sentence or command; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem = problem
        self.remedy = remedy


class SettingError(LocalError):
    """A setting has a value that cannot be used."""


class PortTakenError(LocalError):
    """A port that the stack needs is in use by something else."""


class StartError(LocalError):
    """A component ended or did not become healthy in time; names its log."""


class ApiError(LocalError):
    """Airflow's REST interface refused a request or did not answer.

    :param status: HTTP status, or None when no answer arrived.
    """

    def __init__(self, problem: str, remedy: str = "", *, status: int | None = None) -> None:
        super().__init__(problem, remedy)
        self.status = status


class CheckError(LocalError):
    """A check of the demonstration did not hold."""
