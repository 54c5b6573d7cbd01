"""The command ``rescind``: which commands there are, how light they are, and what ``init`` writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rescind import cli
from rescind.data_files import data_path
from rescind.errors import ConfigurationError
from rescind.settings import VARIABLE, Settings, settings_home
from rescind.systems import default_connections

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: rescind {command if command in ('diff', 'ledger', 'evidence') else ''}" in capsys.readouterr().out


def test_an_unknown_command_lists_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["seal"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and all(name in said for name in cli.COMMANDS)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        (["evidence", "--help"], {"airflow", "psycopg", "pydantic", "httpx", "yaml", "jinja2"}),
        (["dags"], {"airflow", "psycopg", "httpx", "yaml", "jinja2", "cryptography"}),
        (["lint", str(ROOT / "include/policies/access_review.yaml")], {"airflow"}),
    ],
)
def test_a_command_imports_only_what_it_needs(command: list[str], heavy: set[str]) -> None:
    code = "import sys\nfrom rescind.cli import main\ntry:\n    main(sys.argv[2:])\nexcept SystemExit: pass\n"
    code += "print('LOADED', sorted(set(sys.argv[1].split(',')) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, ",".join(sorted(heavy)), *command],
        capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT / "plugins")},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "LOADED []", done.stdout + done.stderr


def test_init_writes_inputs_that_the_settings_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert "wrote, in " in said and "  dags/access_review.py" in said
    assert [line[:2] for line in said.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3."]
    monkeypatch.setenv("RESCIND_HOME", str(tmp_path / "new"))
    raw = json.loads((tmp_path / "new/rescind_settings.json").read_text())
    settings = Settings.parse(raw[VARIABLE], connections={})
    assert settings.connections == default_connections()
    for name in ("roster", "policy", "protections", "exceptions", "owners"):
        assert settings.path(name).is_file()
        assert settings.path(name).is_relative_to(tmp_path)
    assert settings.enforce_scheduled is False and not settings.approvers
    assert yaml.safe_load(settings.path("exceptions").read_text())["exceptions"] == []
    dags = [{path.name for path in (folder / "dags").glob("*.py")} for folder in (tmp_path / "new", ROOT)]
    assert dags[0] == dags[1] != set()


def test_init_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    protected = tmp_path / "include/config/protected.yaml"
    protected.parent.mkdir(parents=True)
    protected.write_text("mine")
    assert cli.main(["init", str(tmp_path)]) == 0
    assert protected.read_text() == "mine"
    assert "left as it is, in " in capsys.readouterr().out
    assert cli.main(["init", str(tmp_path), "--force"]) == 0
    said = capsys.readouterr().out
    assert protected.read_bytes() == (data_path("config") / "protected.yaml").read_bytes()
    assert protected.with_name("protected.yaml.bak").read_text() == "mine"
    assert "replaced, in " in said and "unchanged, in " in said and "\nwrote, in" not in said


def test_relative_paths_start_at_the_checkout_or_at_the_home_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESCIND_HOME", raising=False)
    assert settings_home() == ROOT
    monkeypatch.setenv("RESCIND_HOME", "/somewhere")
    assert Settings(roster="people.csv").path("roster") == Path("/somewhere/people.csv")
    assert Settings(roster="/else/people.csv").path("roster") == Path("/else/people.csv")


def test_a_missing_input_names_the_folder_that_was_looked_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rescind.hooks.input_files import read_file

    monkeypatch.setenv("RESCIND_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=rf"protected\.yaml in {tmp_path}/include/config"):
        read_file(Settings(), "protections")
