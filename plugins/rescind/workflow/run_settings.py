"""The settings of a run: recorded when it begins, covered by its approval, compared before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rescind.errors import NotApprovedError
from rescind.ledger import SETTINGS, Ledger, NewInput, Plan, Run
from rescind.model import canonical
from rescind.plan.approved import approved_settings
from rescind.settings import VARIABLE, Settings
from rescind.workflow.question.markdown import plain

_WIDTH = 160
_ABSENT = "(not recorded)"


def record_settings(
    ledger: Ledger,
    settings: Settings,
    *,
    dag_id: str,
    form: Mapping[str, Any],
    inputs: Iterable[NewInput] = (),
    environment: Collection[str] = (),
) -> NewInput:
    """Return the record of a run that begins. Its SHA-256 becomes a part of the plan's digest.

    It also names every setting that differs from the last run of the same kind that a person approved, because that is
    what an approver has seen.

    :param form: what the form makes of the settings in this run, such as ``dry_run`` and caps; JSON without floats.
    :param inputs: the input files of the run; their checksums are recorded.
    :param environment: names of Airflow Variables that an environment variable hides.
    """
    record: dict[str, Any] = {
        "settings": settings.bound(),
        "files": {one.name: one.sha256 for one in inputs},
        "form": dict(form),
        "hidden": sorted(environment),
    }
    before = ledger.inputs.last_approved(dag_id, str(form.get("kind", "")), SETTINGS)
    facts = {
        "record": record,
        "compared_with": before[0] if before else None,
        "changes": _changes(before[1]["record"], record) if before else [],
    }
    return NewInput(SETTINGS, _source(environment), canonical(record), facts)


def settings_digest(ledger: Ledger, run: Run) -> str:
    """Return the SHA-256 (hex) of the recorded settings, for the plan; empty for a run without a record."""
    return ledger.inputs.sha256(run.run_id, SETTINGS)


def settings_of(ledger: Ledger, run: Run, current: Settings) -> Settings:
    """Return the settings that a run works with: what an approval covers as recorded, everything else as it is now."""
    facts = ledger.inputs.facts(run.run_id, SETTINGS)
    return current.as_recorded(facts["record"]["settings"]) if facts else current


def require_settings(ledger: Ledger, run: Run, plan: Plan, current: Settings) -> None:
    """Check before anything is sent that the deployment has the settings that the approver saw.

    :raises NotApprovedError: when the record is not the approved one, or a setting differs now; names the setting.
    """
    where = f"plan {plan.digest[:12]} of run {run.run_id}"
    if approved_settings(ledger.plans.effects(run.run_id, plan.digest)) != settings_digest(ledger, run):
        raise NotApprovedError(
            f"{where}: the recorded settings are not those that the approved digest covers: they were changed in the"
            " ledger. Nothing was sent; start a new run"
        )
    facts = ledger.inputs.facts(run.run_id, SETTINGS)
    differ = _differences(facts["record"]["settings"], current.bound()) if facts else []
    if differ:
        name, then, now = differ[0]
        more = f", and {len(differ) - 1} more: {', '.join(one[0] for one in differ[1:])}" if differ[1:] else ""
        raise NotApprovedError(
            f"{where}: setting {name!r} is {_short(now)} now and was {_short(then)} when the plan was approved{more}."
            " Nothing was sent. Set it back and clear this task, or start a new run"
        )


def settings_text(ledger: Ledger, run: Run) -> list[str]:
    """Return the lines of an approval request about the settings of the run (Markdown)."""
    facts = ledger.inputs.facts(run.run_id, SETTINGS)
    if not facts:
        return []
    lines = ["", "**Settings**", ""]
    if facts["compared_with"] is None:
        lines.append("- No earlier run of this kind was approved by a person; there is nothing to compare them with.")
    elif not facts["changes"]:
        lines.append(f"- As in run {facts['compared_with']}, the last one of this kind that a person approved.")
    else:
        lines.append(f"- Changed since run {facts['compared_with']}, the last one of this kind that a person approved:")
        lines += [f"- **{plain(name)}**: {plain(_short(old), _WIDTH)} → {plain(_short(new), _WIDTH)}"
                  for name, old, new in facts["changes"]]  # fmt: skip
    return lines


def hides(variable: str) -> str:
    """Return the sentence about an environment variable that hides an Airflow Variable."""
    return f"AIRFLOW_VAR_{variable.upper()} of the workers' environment hides the Airflow Variable {variable}"


def _source(environment: Collection[str]) -> str:
    return (
        f"AIRFLOW_VAR_{VARIABLE.upper()} (environment)" if VARIABLE in environment else f"Airflow Variable {VARIABLE}"
    )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[list[Any]]:
    """Return [name, old, new] of every setting and input file that differs. The roster differs in every run."""
    old, new = ({name: sha256 for name, sha256 in one["files"].items() if name != "roster"} for one in (before, now))
    differ = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    checksums = [(f"content of {name}", old[name], new[name]) for name in differ]
    hidden = [before["hidden"], now["hidden"]]
    where = [("hidden by the environment", *hidden)] if hidden[0] != hidden[1] else []
    return [list(one) for one in [*_differences(before["settings"], now["settings"]), *checksums, *where]]


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    names = sorted({*old, *new})
    return [(n, old.get(n, _ABSENT), new.get(n, _ABSENT)) for n in names if old.get(n, _ABSENT) != new.get(n, _ABSENT)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
