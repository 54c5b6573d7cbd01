"""Settings of the one-machine stack."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from local.config import PROJECT, SETTINGS, UI_PORT, load, require_free_port
from local.errors import PortTakenError, SettingError


def test_defaults_are_workable() -> None:
    config = load({}, {})
    assert config.state == PROJECT / ".rescind"
    assert config.dags == PROJECT / "dags"
    assert (config.base_url, config.emulator_url) == ("http://127.0.0.1:8080", "http://127.0.0.1:8900")
    assert 4 <= config.parallelism <= 32
    assert config.airflow_home == config.state / "airflow"


def test_flags_win_over_the_environment_and_the_environment_over_defaults(tmp_path: Path) -> None:
    env = {"RESCIND_UI_PORT": "9001", "RESCIND_EMULATOR_PORT": "9002", "RESCIND_STATE_DIR": str(tmp_path)}
    config = load({"RESCIND_UI_PORT": "9100", "RESCIND_EMULATOR_PORT": None}, env)
    assert (config.ui_port, config.emulator_port, config.state) == (9100, 9002, tmp_path.resolve())


def test_relative_folders_are_the_projects() -> None:
    assert load({}, {"RESCIND_STATE_DIR": "build/x"}).state == PROJECT / "build" / "x"


@pytest.mark.parametrize("value", ["0", "65536", "-1", "eighty", "80.5", "٨٠"])
def test_a_bad_port_names_the_variable_and_the_remedy(value: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({}, {"RESCIND_UI_PORT": value})
    assert "RESCIND_UI_PORT" in caught.value.problem
    assert "1 to 65535" in caught.value.remedy


def test_the_executor_is_one_of_two() -> None:
    assert not load({}, {}).celery
    assert load({}, {"RESCIND_EXECUTOR": "celery"}).celery
    with pytest.raises(SettingError) as caught:
        load({}, {"RESCIND_EXECUTOR": "kubernetes"})
    assert "RESCIND_EXECUTOR" in caught.value.problem and "local or celery" in caught.value.remedy


def test_every_setting_is_named_alike() -> None:
    names = [setting.variable for setting in SETTINGS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("RESCIND_") and setting.meaning for name, setting in zip(names, SETTINGS, strict=True))


def test_a_taken_port_names_port_setting_and_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            require_free_port(port, UI_PORT)
    assert str(port) in caught.value.problem
    assert "RESCIND_UI_PORT=<port>" in caught.value.remedy
    require_free_port(port, UI_PORT)
