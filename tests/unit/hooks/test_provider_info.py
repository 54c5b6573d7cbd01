from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from rescind.cloud.connection.settings import ClientSettings
from rescind.provider_info import get_provider_info

pytestmark = pytest.mark.airflow

BASES = {
    "operators": {"bases."},
    "sensors": {"grant_gone"},
}
ALL_TYPES: list[dict[str, Any]] = get_provider_info()["connection-types"]
TYPES = [kind for kind in ALL_TYPES if kind["connection-type"] != "chat_webhook"]


def test_schema_of_airflow() -> None:
    import airflow

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    assert get_provider_info()["package-name"] == "airflow-rescind"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind["connection-type"])
def test_types_name_real_hooks_and_real_fields(kind: dict[str, Any]) -> None:
    module, _, name = kind["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (kind["connection-type"], kind["hook-name"])
    assert set(kind["conn-fields"]) <= set(ClientSettings.model_fields)
    secrets = [field for field, form in kind["conn-fields"].items() if form["schema"].get("format") == "password"]
    assert secrets == ["session_token", "proxy_password"]
    for form in kind["conn-fields"].values():
        assert form["label"]
        assert form["description"]
        jsonschema.Draft7Validator.check_schema(form["schema"])


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind["connection-type"])
def test_the_form_as_sent_untouched_is_accepted(kind: dict[str, Any]) -> None:
    fields = {name: form["schema"].get("default") for name, form in kind["conn-fields"].items()}
    service = {"tencent_wedata": "wedata", "alibaba_dms": "dms", "alibaba_quickbi": "quickbi"}[kind["connection-type"]]
    settings = ClientSettings.from_fields(
        service,  # type: ignore[arg-type]
        {**fields, "login": "a", "password": "b", "region": "cn-hangzhou"},
    )
    assert settings.share == 1


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind["connection-type"])
def test_the_form_offers_every_kind_of_credentials(kind: dict[str, Any]) -> None:
    offered = kind["conn-fields"]["credentials"]["schema"]["enum"]
    assert tuple(offered) == get_args(ClientSettings.model_fields["credentials"].annotation)
    assert offered[0] == "static"
    names = {"instance_role_name", "oidc_role_arn", "oidc_provider", "role_arn", "role_session_name"}
    assert names <= set(kind["conn-fields"])
    assert ("allow_imds_v1" in kind["conn-fields"]) == kind["connection-type"].startswith("alibaba")


def test_the_form_of_a_chat_names_its_hook_and_real_fields() -> None:
    from rescind.hooks.chat_webhook import ChatWebhook, ChatWebhookHook

    (kind,) = [one for one in ALL_TYPES if one not in TYPES]
    assert kind["hook-class-name"] == f"{ChatWebhookHook.__module__}.{ChatWebhookHook.__name__}"
    assert (ChatWebhookHook.conn_type, ChatWebhookHook.hook_name) == (kind["connection-type"], kind["hook-name"])
    fields = kind["conn-fields"]
    assert set(fields) < set(ChatWebhook.model_fields)
    secrets = [name for name, form in fields.items() if form["schema"].get("format") == "password"]
    assert secrets == ["secret", "proxy_password"]


def test_airflows_form_reader_takes_it() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager.__new__(ProvidersManager)
    for kind in ALL_TYPES:
        for form in kind["conn-fields"].values():
            made = manager._to_api_format("field", form)
            assert made["schema"]["title"] == form["label"]


def modules_of(package: str) -> set[str]:
    return {module for part in get_provider_info()[package] for module in part["python-modules"]}


@pytest.mark.parametrize(
    ("package", "ending"), [("operators", "Operator"), ("sensors", "Sensor"), ("triggers", "Trigger")]
)
def test_every_module_with_a_class_for_dags_is_named(package: str, ending: str) -> None:
    """Base classes alone need no entry: their modules are named in no integration."""
    path = importlib.import_module(f"rescind.{package}").__path__
    found = {info.name for info in pkgutil.walk_packages(path, f"rescind.{package}.") if not info.ispkg}
    bases = tuple(f"rescind.{package}.{name}" for name in BASES.get(package, ()))
    assert modules_of(package) == {name for name in found if not name.startswith(bases)}
    for module in modules_of(package):
        assert any(name.endswith(ending) for name in vars(importlib.import_module(module))), module


def test_the_hooks_and_links_named_exist() -> None:
    info = get_provider_info()
    for module in modules_of("hooks"):
        assert any(name.endswith("Hook") for name in vars(importlib.import_module(module))), module
    links = importlib.import_module("rescind.airflow_support.links")
    assert {path.rpartition(".")[2] for path in info["extra-links"]} == {
        name for name, value in vars(links).items() if isinstance(value, type) and value.__module__ == links.__name__
    }


def test_every_integration_has_what_a_registry_shows() -> None:
    root = Path(__file__).resolve().parents[3]
    for one in get_provider_info()["integrations"]:
        assert one["tags"] and one["how-to-guide"], one["integration-name"]
        assert all((root / guide.lstrip("/")).is_file() for guide in one["how-to-guide"])
        if one["integration-name"] != "Rescind":
            assert one["external-doc-url"].startswith("https://www.")


def test_every_integration_that_a_part_names_is_described() -> None:
    info = get_provider_info()
    named = {part["integration-name"] for kind in ("hooks", "operators", "sensors", "triggers") for part in info[kind]}
    assert named == {one["integration-name"] for one in info["integrations"]}
