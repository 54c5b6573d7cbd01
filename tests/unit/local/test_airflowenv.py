"""The environment of Airflow's components, and when they have to be restarted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from local import airflowenv, emulated, migrations, state
from local.config import Config, load
from local.errors import SettingError, StartError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = load({"RESCIND_UI_PORT": "9123"}, {"RESCIND_STATE_DIR": str(tmp_path)})
    state.prepare(made.state)
    return made


def make(config: Config, environ: dict[str, str], **provided: str) -> dict[str, str]:
    return airflowenv.environment(config, state.load_secrets(config.state), provided=provided, environ=environ)


def test_all_components_share_what_makes_them_one_stack(config: Config) -> None:
    env = make(config, {"PATH": "/bin"})
    secrets = state.load_secrets(config.state)
    assert env["AIRFLOW_HOME"] == str(config.airflow_home)
    assert env["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:9123"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9123/execution/"
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__API_AUTH__JWT_SECRET"] == secrets.jwt_secret
    assert env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "rita:user,omar:user,vera:viewer,ada:admin,bot:user"
    assert env["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert env["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == "True"
    assert env["PATH"].split(os.pathsep)[-1] == "/bin"


def test_the_callers_tuning_wins_but_not_over_the_stacks_own_place(config: Config) -> None:
    given = {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "5",
        "AIRFLOW_HOME": "/somewhere/else",
        "AIRFLOW__API__PORT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/x",
    }
    env = make(config, given)
    assert env["AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"] == "5"
    assert env["AIRFLOW_HOME"] == str(config.airflow_home)
    assert env["AIRFLOW__API__PORT"] == "9123"
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"} & set(env)


def test_what_the_stack_provides_wins_over_a_connection_of_the_caller(config: Config) -> None:
    env = make(config, {"AIRFLOW_CONN_DMS_DEFAULT": "real account"}, AIRFLOW_CONN_DMS_DEFAULT="emulator")
    assert env["AIRFLOW_CONN_DMS_DEFAULT"] == "emulator"


def test_loopback_never_goes_through_a_proxy(config: Config) -> None:
    env = make(config, {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "corp"})
    assert env["NO_PROXY"] == "corp,127.0.0.1,localhost"
    assert env["no_proxy"] == "127.0.0.1,localhost"


def test_passwords_are_written_where_airflow_reads_them(config: Config) -> None:
    secrets = state.load_secrets(config.state)
    airflowenv.write_passwords(config, secrets)
    path = Path(make(config, {})["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert json.loads(path.read_text()) == secrets.passwords
    assert path.stat().st_mode & 0o077 == 0


def test_only_the_scheduler_loads_early(config: Config) -> None:
    env = make(config, {})
    early = airflowenv.for_tasks(env)
    assert "RESCIND_PRELOAD" not in env
    assert (Path(early["PYTHONPATH"]) / "airflow_local_settings.py").is_file()
    assert {"rescind.dag_parts.review_dag", "rescind.systems.loaded"} <= set(early["RESCIND_PRELOAD"].split(","))


def test_every_system_is_loaded_early() -> None:
    from rescind.systems import ENTRIES
    from rescind.systems.loaded import SYSTEMS

    assert [system.name for system in SYSTEMS] == list(ENTRIES)


def test_the_fingerprint_follows_configuration_and_code(config: Config, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("A = 1\n")
    env = make(config, {"HOME": "/a"})
    first = airflowenv.fingerprint(env, [code])
    assert airflowenv.fingerprint({**env, "HOME": "/b"}, [code]) == first
    assert airflowenv.fingerprint({**env, "AIRFLOW__API__WORKERS": "7"}, [code]) != first
    (code / "a.py").write_text("A = 2345\n")
    changed = airflowenv.fingerprint(env, [code])
    assert changed != first
    (code / "b.sql").write_text("SELECT 1\n")
    assert airflowenv.fingerprint(env, [code]) not in (first, changed)


@pytest.mark.parametrize(
    "text",
    [
        '{"conn_type": "postgres", "host": "h", "port": 5, "login": "u", "password": "p/ w", "schema": "d", '
        '"extra": {"sslmode": "require"}}',
        '{"conn_type": "postgres", "host": "h", "port": 5, "login": "u", "password": "p/ w", "schema": "d", '
        '"extra": "{\\"sslmode\\": \\"require\\"}"}',
        "postgres://u:p%2F%20w@h:5/d?sslmode=require",
    ],
)
def test_the_ledgers_address_is_read_in_every_form(text: str) -> None:
    from psycopg.conninfo import conninfo_to_dict

    found = conninfo_to_dict(migrations.ledger_dsn({airflowenv.LEDGER_VARIABLE: text}))
    assert found == {"host": "h", "port": "5", "user": "u", "password": "p/ w", "dbname": "d", "sslmode": "require"}


def test_the_embedded_ledgers_connection_is_read_back() -> None:
    from psycopg.conninfo import conninfo_to_dict

    made = airflowenv.ledger_connection("/some/socket dir", 5432, "rescind", "s'ecret", "rescind_ledger")
    found = conninfo_to_dict(migrations.ledger_dsn(made))
    assert found["host"] == "/some/socket dir" and found["password"] == "s'ecret"


def test_a_broken_ledger_connection_is_named_without_its_secret() -> None:
    with pytest.raises(SettingError) as caught:
        migrations.ledger_dsn({airflowenv.LEDGER_VARIABLE: '{"password": "hush", '})
    assert airflowenv.LEDGER_VARIABLE in caught.value.problem
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "sqlite:////x.db", "postgresql+psycopg2://u@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_asked_has_no_revision(url: str) -> None:
    assert migrations.revision(url) is None


class FakeControl(emulated.Control):
    """The emulator's control interface, from a dictionary."""

    def __init__(self, people: list[dict[str, str]]) -> None:
        super().__init__("http://127.0.0.1:1", "token")
        self.people = people

    def get(self, path: str) -> object:
        keys = [
            {"vendor": vendor, "name": name, "key_id": f"{vendor}-{name}", "secret": "s"}
            for vendor in ("tencent", "alibaba")
            for name in ("rescind-bot", "second-application", "no-rights")
        ]
        return {
            "org": {"keys": keys, "people": self.people},
            "protected": {"people": [{"person_id": "p1", "reason": "owner"}]},
            "truth": {"wedata_data_sources": [{"user_id": "7", "data_source_id": "ds1"}]},
        }[path]

    def text(self, path: str) -> str:
        assert path == "roster.csv"
        return "person_id\np1\n"


def test_connections_lead_to_the_emulator_with_the_tools_own_keys() -> None:
    control = FakeControl([{"name": "rescind-bot", "wedata_user_id": "7000"}])
    made = {name: json.loads(value) for name, value in emulated.connections("http://127.0.0.1:9", control).items()}
    assert set(made) == {
        f"AIRFLOW_CONN_{name}_{use}" for name in ("WEDATA", "DMS", "QUICKBI") for use in ("DEFAULT", "GRANTING")
    }
    for name, connection in made.items():
        assert connection["login"].endswith("rescind-bot" if name.endswith("DEFAULT") else "second-application")
        assert connection["extra"]["base_url"] == "http://127.0.0.1:9"
        assert connection["extra"]["allow_loopback_http"] is True
    assert made["AIRFLOW_CONN_WEDATA_DEFAULT"]["extra"]["own_ids"] == ["7000"]


def test_an_organization_without_the_tool_is_refused() -> None:
    with pytest.raises(StartError, match="rescind-bot"):
        emulated.connections("http://127.0.0.1:9", FakeControl([]))


def test_the_demonstrations_settings_name_files_that_are_there(config: Config) -> None:
    people = [
        {"person_id": "p1", "status": "active", "protected": "owner", "wedata_user_id": "6", "wedata_uin": "106"},
        {"person_id": "p2", "status": "left", "protected": "", "wedata_user_id": "7", "wedata_uin": "107"},
        {"person_id": "p3", "status": "active", "protected": "", "wedata_user_id": "8", "wedata_uin": "108"},
    ]
    made = json.loads(emulated.variables(config, FakeControl(people))["AIRFLOW_VAR_RESCIND_SETTINGS"])
    assert Path(made["roster"]).read_text() == "person_id,wedata_uin\np1,106\n"
    assert json.loads(Path(made["protections"]).read_text())["principals"][0]["id"] == "p1"
    (waiver,) = json.loads(Path(made["exceptions"]).read_text())["exceptions"]
    assert waiver["owner"] == "p1" and waiver["match"]["principal_id"] == "7"
    assert "omar" in made["approvers"] and "rita" not in made["approvers"]


def test_a_control_interface_that_does_not_answer_is_named() -> None:
    control = emulated.Control("http://127.0.0.1:1", "token")
    assert not control.healthy()
    with pytest.raises(StartError, match="GET truth"):
        control.get("truth")
