"""The kill switch in Airflow: known before the first call, fresh after it, and never assumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rescind.airflow_support.kill_switch_variable import STOP_VARIABLE, StopVariable, refuse_if_set, stop_reason
from rescind.errors import RunInterruptedError, RunStoppedError
from rescind.workflow.execute.kill_switch_monitor import KillSwitchMonitor


def _answers(*answers: str | Exception) -> Callable[[], str]:
    rest = list(answers)

    def read() -> str:
        answer = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


def test_without_a_second_switch_sending_goes_on() -> None:
    watch = KillSwitchMonitor()
    asyncio.run(watch.start())
    asyncio.run(watch.watch())
    watch.check()


def test_nothing_is_sent_before_the_switch_is_known() -> None:
    with pytest.raises(RunInterruptedError, match="could not be read"):
        KillSwitchMonitor(lambda: "").check()
    with pytest.raises(RunInterruptedError, match="nothing is sent"):
        never = KillSwitchMonitor(_answers(OSError("down")), every_s=0.001, patience_s=0.01)
        asyncio.run(asyncio.wait_for(never.start(), 30))
    watch = KillSwitchMonitor(_answers(OSError("down"), ""), every_s=0.001)
    asyncio.run(watch.start())
    watch.check()


def test_a_switch_that_is_set_stops_before_the_first_call_and_between_calls() -> None:
    with pytest.raises(RunStoppedError, match="incident 17"):
        asyncio.run(KillSwitchMonitor(_answers("incident 17")).start())

    async def later() -> None:
        watch = KillSwitchMonitor(_answers("", "incident 18"), every_s=0.001)
        await watch.start()
        watch.check()
        watching = asyncio.create_task(watch.watch())
        with pytest.raises(RunStoppedError, match="incident 18"):
            while True:
                await asyncio.sleep(0.001)
                watch.check()
        watching.cancel()

    asyncio.run(asyncio.wait_for(later(), 30))


def test_a_switch_that_cannot_be_read_any_more_ends_the_sending() -> None:
    async def work() -> None:
        watch = KillSwitchMonitor(_answers("", OSError("down")), every_s=0.001, patience_s=0.05)
        await watch.start()
        watching = asyncio.create_task(watch.watch())
        with pytest.raises(RunInterruptedError, match="nothing more is sent"):
            while True:
                await asyncio.sleep(0.001)
                watch.check()
        watching.cancel()

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_process_that_is_told_to_end_stops_between_calls() -> None:
    watch = KillSwitchMonitor()
    watch.end("the task was told to end")
    with pytest.raises(RunInterruptedError, match=r"told to end.*open calls stay open"):
        watch.check()


@pytest.mark.parametrize("value", [None, "", " ", "false", "False", "0", "no", "off", "null", '{"stop": false}'])
def test_values_that_let_go_on(value: Any) -> None:
    assert stop_reason(value) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("incident 17", "incident 17"),
        ('{"reason": "incident 17", "by": "ada"}', "incident 17 (by ada)"),
        ("{}", "no reason given"),
        ("true", "True"),
        ("1", "1"),
        ("{broken", "{broken"),
        ("[]", "[]"),
        ("a\nb\u202e\x1b[31m", "a b"),
    ],
)
def test_everything_else_stops(value: str, said: str) -> None:
    assert stop_reason(value).startswith(said)


def test_the_variable_is_read_from_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_if_set(StopVariable())
    monkeypatch.setenv(f"AIRFLOW_VAR_{STOP_VARIABLE.upper()}", "incident 17")
    with pytest.raises(RunStoppedError, match=r"incident 17.*delete it under Admin"):
        refuse_if_set(StopVariable())


def test_an_api_server_that_is_away_is_not_taken_for_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Variable

    from rescind.airflow_support import lookups

    def away(prefix: str) -> list[str]:
        raise OSError("connection refused")

    asked: list[str] = []
    monkeypatch.setattr(lookups, "_supervisor", object)
    monkeypatch.setattr(Variable, "keys", away)
    # What Airflow itself says while its server is away: there is no such Variable.
    monkeypatch.setattr(Variable, "get", lambda name, default: asked.append(name) or default)
    variable = StopVariable()
    with pytest.raises(RunInterruptedError, match="does not say"):
        variable()
    monkeypatch.setattr(Variable, "keys", lambda prefix: [])
    assert variable() == "" and asked == [STOP_VARIABLE]
    assert variable() == "" and asked == [STOP_VARIABLE], "later readings cost one request"
    monkeypatch.setattr(Variable, "keys", lambda prefix: [STOP_VARIABLE])
    with pytest.raises(RunInterruptedError, match="cannot be read"):
        variable()
    monkeypatch.setattr(Variable, "get", lambda name, default: "incident 17")
    assert variable() == "incident 17"
