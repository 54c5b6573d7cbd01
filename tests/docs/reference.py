"""Writes ``docs/reference.md`` from the code: DAGs and their forms, operators, sensors, hooks, settings, command lines.

python -m tests.docs.reference [--write]
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rescind.hooks
import rescind.notifications
import rescind.operators
import rescind.operators.bases
import rescind.operators.questions
import rescind.sensors
import rescind.triggers
from rescind import provider_info
from rescind.settings import Settings
from rescind.settings.binding import BOUND

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference.md"
HEAD = """# Reference

Made from the code by `python -m tests.docs.reference --write`; a test keeps it current.
"""
COMMAND_LINES = {
    "rescind.cli": "rescind",
    "rescind.cli.decisions": "rescind explain, backtest, lint",
    "rescind.cli.ledger": "rescind ledger, diff",
    "rescind.cli.evidence": "rescind evidence",
    "rescind.cli.roster": "rescind roster",
    "rescind.cli.project": "rescind init, dags",
}
_FIELD = re.compile(r"^ *:(?:param|raises|returns?)\b", re.MULTILINE)


def page() -> str:
    """The whole page."""
    parts = [HEAD, *_dags(), *_settings(), *_connections(), *_classes(rescind.operators, "Operators", "Operator")]
    parts += _classes(rescind.operators.questions, "Operators that ask people", "Operator")
    parts += _classes(rescind.operators.bases, "Base classes of the operators", "Operator")
    parts += [*_classes(rescind.sensors, "Sensors", "Sensor"), *_classes(rescind.triggers, "Triggers", "Trigger")]
    parts += _classes(rescind.notifications, "Notifiers", "Notifier")
    return "\n".join([*parts, *_classes(rescind.hooks, "Hooks", "Hook"), *_commands()])


def parameters(described: type) -> dict[str, str]:
    """``:param name: text`` of a class docstring, one line each."""
    found = {}
    for block in re.split(r"\n(?= *:)", inspect.getdoc(described) or ""):
        match = re.match(r" *:param (\w+): (.*)", block, re.DOTALL)
        if match:
            found[match[1]] = _line(re.split(r"\n\s*\n", match[2])[0])
    return found


def _dags() -> Iterator[str]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert not bag.import_errors, bag.import_errors
    yield "\n## DAGs\n"
    for name, dag in sorted(bag.dags.items()):
        schedule = getattr(dag.schedule, "summary", dag.schedule)
        when = f"Runs at `{schedule}` (cron, UTC)" if schedule else "Started by a person only"
        if assets := [asset.name for asset in getattr(dag.timetable.asset_condition, "objects", ())]:
            when = f"Started by events of the asset `{', '.join(assets)}`"
        yield f"### `{name}`\n\n{_line(dag.description or '')} {when}.\n"
        yield "| field | section | default | meaning |\n| --- | --- | --- | --- |"
        for field in dag.params:
            param = dag.params.get_param(field)
            schema = param.schema
            meaning = _line(schema.get("description_md") or schema.get("description") or "")
            yield f"| `{field}` | {schema.get('section', '')} | `{_literal(param.value)}` | {_cell(meaning)} |"
        yield ""


def _settings() -> Iterator[str]:
    yield "## Settings\n\nThe Airflow Variable `rescind_settings`, a JSON object. Unknown keys are errors.\n"
    yield "An approval covers the settings marked *approved*: see [operating](operating.md).\n"
    yield "| setting | default | approval | meaning |\n| --- | --- | --- | --- |"
    described = parameters(Settings)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = default.model_dump() if hasattr(default, "model_dump") else default
        covered = "approved" if BOUND in field.metadata else ""
        yield f"| `{name}` | `{_cell(_literal(shown))}` | {covered} | {_cell(described.get(name, ''))} |"
    yield ""


def _connections() -> Iterator[str]:
    yield "## Connections\n"
    for kind in provider_info.get_provider_info()["connection-types"]:
        yield f"### `{kind['connection-type']}`\n\n| extra | meaning |\n| --- | --- |"
        for name, form in kind.get("conn-fields", {}).items():
            yield f"| `{name}` | {_cell(form.get('description') or form['label'])} |"
        yield ""


def _classes(package: Any, title: str, ending: str) -> Iterator[str]:
    yield f"## {title}\n"
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, cls in sorted(vars(module).items()):
            if inspect.isclass(cls) and cls.__module__ == module.__name__ and name.endswith(ending):
                yield from _class(module.__name__, name, cls)


def _class(module: str, name: str, cls: type) -> Iterator[str]:
    text = inspect.getdoc(cls) or ""
    start = _FIELD.search(text)
    yield f"### `{module}.{name}`\n\n{_plain(text[: start.start()] if start else text)}\n"
    described = parameters(cls)
    if described:
        yield "| parameter | meaning |\n| --- | --- |"
        yield from (f"| `{name}` | {_cell(text)} |" for name, text in described.items())
        yield ""


def _commands() -> Iterator[str]:
    yield "## Command lines\n"
    for module, name in COMMAND_LINES.items():
        text = inspect.getdoc(importlib.import_module(module)) or ""
        yield f"### `{name}`\n\n{_plain(text)}\n"


def _plain(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`").strip()


def _line(text: str) -> str:
    return _plain(" ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _literal(value: object) -> str:
    return '""' if value == "" else "none" if value is None else str(value).replace("'", '"')


def main() -> int:
    """Print the page, or write it."""
    text = page()
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
