"""A small client of Airflow's REST interface, for what a person does with a browser.

Every method raises :class:`~local.errors.ApiError` when Airflow refuses or does not answer. Proxies of the
environment are not used: the interface is on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from local.errors import ApiError

ENDED = frozenset({"success", "failed"})
Json = dict[str, Any]


class AirflowApi:
    """Airflow's REST interface as one user.

    :param base_url: address of the interface, for example ``http://127.0.0.1:8080``.
    :param user: user name; None stays anonymous (enough for :meth:`health`).
    :param timeout: seconds for one request.
    :param transport: carries the requests; for tests.
    """

    def __init__(
        self,
        base_url: str,
        user: str | None = None,
        password: str = "",
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.user = user
        verify = base_url.startswith("https:")  # loading the certificates takes a while
        self._client = httpx.Client(
            base_url=base_url, timeout=timeout, trust_env=False, verify=verify, transport=transport
        )
        if user is not None:
            answer = self._send("POST", "/auth/token", json={"username": user, "password": password})
            self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def __enter__(self) -> AirflowApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """The JSON answer of a GET below ``/api/v2``."""
        return self._send("GET", f"/api/v2{path}", params=params)

    def post(self, path: str, body: Any) -> Any:
        """The JSON answer of a POST below ``/api/v2``."""
        return self._send("POST", f"/api/v2{path}", json=body)

    def patch(self, path: str, body: Any, **params: Any) -> Any:
        """The JSON answer of a PATCH below ``/api/v2``."""
        return self._send("PATCH", f"/api/v2{path}", json=body, params=params)

    def health(self) -> Json:
        """State and latest heartbeat of each component."""
        return dict(self.get("/monitor/health"))

    def task_interface_health(self, timeout: float) -> Json:
        """State of the interface that tasks use."""
        return dict(self._send("GET", "/execution/health", timeout=timeout))

    def dag(self, dag_id: str) -> Json | None:
        """A DAG's description, or None when it is not known (yet)."""
        try:
            return dict(self.get(f"/dags/{quote(dag_id)}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def import_errors(self) -> list[Json]:
        """DAG files that failed to load: ``filename`` and ``stack_trace``."""
        return list(self.get("/importErrors", limit=100)["import_errors"])

    def wait_for_dag(self, dag_id: str, timeout: float) -> Json:
        """Wait until the DAG processor has seen a DAG.

        :raises ApiError: when its file fails to load, or after ``timeout`` seconds.
        """
        until = time.monotonic() + timeout
        while (found := self.dag(dag_id)) is None:
            broken = [one for one in self.import_errors() if dag_id in str(one.get("filename"))]
            if broken or time.monotonic() > until:
                trace = "\n".join(str(one["stack_trace"])[-800:] for one in broken or self.import_errors())
                raise ApiError(f"The DAG {dag_id} did not appear within {timeout:.0f} s. {trace}")
            time.sleep(0.3)
        return found

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.patch(f"/dags/{quote(dag_id)}", {"is_paused": False}, update_mask="is_paused")

    def pause(self, dag_id: str) -> None:
        """Let the scheduler start nothing new of a DAG."""
        self.patch(f"/dags/{quote(dag_id)}", {"is_paused": True}, update_mask="is_paused")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, note: str | None = None) -> str:
        """Start a run by hand; returns its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), "note": note}
        return str(self.post(f"/dags/{quote(dag_id)}/dagRuns", body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """A run's description; ``state`` is queued, running, success or failed."""
        return dict(self.get(self._run(dag_id, run_id)))

    def runs(self, dag_id: str, state: str) -> list[Json]:
        """The runs of a DAG that are in one state."""
        return self._all(f"/dags/{quote(dag_id)}/dagRuns", "dag_runs", state=state)

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """End a run as failed."""
        self.patch(self._run(dag_id, run_id), {"state": "failed"}, update_mask="state")

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """Every task instance of a run (all pages)."""
        return self._all(f"{self._run(dag_id, run_id)}/taskInstances", "task_instances")

    def watch(
        self, dag_id: str, run_id: str, timeout: float, interval: float = 0.5
    ) -> Iterator[tuple[Json, list[Json]]]:
        """The run and its task instances again and again until the run has ended; the last pair is the end.

        :raises ApiError: after ``timeout`` seconds; names the unfinished tasks.
        """
        until = time.monotonic() + timeout
        while True:
            run = self.run(dag_id, run_id)
            tasks = self.tasks(dag_id, run_id)
            yield run, tasks
            if run["state"] in ENDED:
                return
            if time.monotonic() > until:
                begun = {f"{t['task_id']} {t['state']}" for t in tasks if t["state"] not in ("success", None)}
                still = f"The run {run_id} of {dag_id} is still {run['state']} after {timeout:.0f} s"
                raise ApiError(f"{still}; open: {', '.join(sorted(begun)) or 'everything'}.")
            time.sleep(interval)

    def wait(self, dag_id: str, run_id: str, timeout: float, interval: float = 0.3) -> Json:
        """Wait for the end of a run; returns its description."""
        until = time.monotonic() + timeout
        while (run := self.run(dag_id, run_id))["state"] not in ENDED:
            if time.monotonic() > until:
                raise ApiError(f"The run {run_id} of {dag_id} is still {run['state']} after {timeout:.0f} s.")
            time.sleep(interval)
        return run

    def questions(self, dag_id: str = "~", run_id: str = "~") -> list[Json]:
        """Questions to people that wait for an answer."""
        return self._all(f"{self._run(dag_id, run_id)}/hitlDetails", "hitl_details", response_received=False)

    def question(self, task: Mapping[str, Any]) -> Json:
        """The question of one task instance."""
        return dict(self.get(f"{self._task(task)}/hitlDetails"))

    def answer(self, task: Mapping[str, Any], options: list[str], fields: Mapping[str, Any] | None = None) -> Json:
        """Answer the question of a task instance."""
        body = {"chosen_options": options, "params_input": dict(fields or {})}
        return dict(self.patch(f"{self._task(task)}/hitlDetails", body))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task instance has returned; None when it returned nothing."""
        path = f"{self._run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        try:
            return self.get(path, map_index=map_index, deserialize=False, stringify=False)["value"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def log(self, task: Mapping[str, Any]) -> str:
        """The log of a task instance's latest try, as text."""
        answer = self.get(
            f"{self._run(task['dag_id'], task['dag_run_id'])}/taskInstances/{quote(task['task_id'])}"
            f"/logs/{max(1, task['try_number'])}",
            map_index=task["map_index"],
            full_content=True,
        )
        content = answer["content"]
        if isinstance(content, str):
            return content
        return "\n".join(_log_line(line) for line in content)

    def pools(self) -> dict[str, int]:
        """Slots of every pool by name."""
        return {str(pool["name"]): int(pool["slots"]) for pool in self._all("/pools", "pools")}

    def create_pool(self, name: str, slots: int, description: str, include_deferred: bool = False) -> None:
        """Create a pool."""
        self.post(
            "/pools", {"name": name, "slots": slots, "description": description, "include_deferred": include_deferred}
        )

    @staticmethod
    def _run(dag_id: str, run_id: str) -> str:
        return f"/dags/{quote(dag_id, safe='~')}/dagRuns/{quote(run_id, safe='~')}"

    def _task(self, task: Mapping[str, Any]) -> str:
        run = self._run(task["dag_id"], task["dag_run_id"])
        return f"{run}/taskInstances/{quote(task['task_id'])}/{task['map_index']}"

    def _all(self, path: str, key: str, **params: Any) -> list[Json]:
        rows: list[Json] = []
        while True:
            page = self.get(path, limit=100, offset=len(rows), **params)
            rows += page[key]
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            problem = f"Airflow at {self._client.base_url} does not answer ({type(error).__name__})."
            raise ApiError(problem, "Is the stack up?") from error
        if answer.is_error:
            who = f" as {self.user}" if self.user else ""
            raise ApiError(
                f"{method} {path}{who}: HTTP {answer.status_code} {answer.text[:600]}", status=answer.status_code
            )
        return answer.json() if answer.content else None


def _log_line(line: Any) -> str:
    """One structured log line as text, with the errors that it carries."""
    if not isinstance(line, dict):
        return str(line)
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in line.get("error_detail") or ()]
    return "\n".join([str(line.get("event", line)), *errors])
