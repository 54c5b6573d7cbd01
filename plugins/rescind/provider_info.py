"""What Airflow's provider manager reads: connection types with their forms, and the modules of this provider.

Only the installed distribution registers it. Without it the hooks work with connections of type ``generic``.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {**_TEXT, **schema}}


def _common(region_help: str) -> dict[str, Any]:
    return {
        "region": _text("Region", region_help),
        "credentials": _choice(
            "Credentials",
            "Where the key comes from: this connection (static), the worker's environment, the role of its "
            "machine, or its mounted identity token. Key id and secret stay empty unless static.",
            ["static", "environment", "instance_role", "oidc"],
        ),
        "session_token": _text("Session token", "Only with temporary keys.", format="password"),
        "instance_role_name": _text(
            "Instance role", "Only with credentials instance_role; empty means: ask the machine."
        ),
        "oidc_role_arn": _text("OIDC role", "Only with credentials oidc; empty means the worker's environment."),
        "oidc_provider": _text("OIDC provider", "Only with credentials oidc; empty means the worker's environment."),
        "account_id": _text("Account id", "The account that the key must belong to; checked before every run."),
        "role_arn": _text("Role to assume", "ARN of a role; the key above is then only used to assume it."),
        "role_session_name": _text("Role session name", "Name of the session in the vendor's audit log."),
        "role_external_id": _text("External id", "Only when the trust policy of the role asks for one."),
        "own_ids": _text("Own ids", "Ids of this tool itself in the service, comma-separated. They are never revoked."),
        "share": {
            "label": "Share of limits",
            "description": "Part of each documented request limit that this deployment may use, up to 1.",
            "schema": {"type": ["number", "null"], "minimum": 0.01, "maximum": 1, "default": 1},
        },
        "limits": _text("Limits", 'Requests a second by action as JSON, for example {"*": 10}.', format="json"),
        "timeout_s": {
            "label": "Timeout",
            "description": "Total time for one request, in seconds.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600, "default": 30},
        },
        "endpoint": _text("Endpoint", "Host of the service; only for finance, government and other special regions."),
        "sts_endpoint": _text("Token service", "Its host; empty means that of the endpoint's region."),
        "proxy": _text("Proxy", "http://HOST:PORT of a proxy that opens a tunnel. The environment is not used."),
        "proxy_login": _text("Proxy user", "Only if the proxy asks for one."),
        "proxy_password": _text("Proxy password", "Only with a proxy user.", format="password"),
        "ca_bundle": _text("CA bundle", "PEM file on every worker: the authorities to trust, and no others."),
        "base_url": _text("Emulator address", "Only an address of this machine, only with the switch below."),
        "allow_loopback_http": {
            "label": "Allow the emulator",
            "description": "Accept the emulator's address on this machine, without TLS.",
            "schema": {"type": ["boolean", "null"], "default": False},
        },
    }


def _choice(label: str, description: str, values: list[str]) -> dict[str, Any]:
    return {
        "label": label,
        "description": description,
        "schema": {"type": ["string", "null"], "enum": values, "default": values[0]},
    }


def _connection(kind: str, module: str, hook: str, name: str, fields: dict[str, Any], key: str) -> dict[str, Any]:
    return {
        "connection-type": kind,
        "hook-class-name": f"rescind.hooks.{module}.{hook}",
        "hook-name": name,
        "conn-fields": fields,
        "ui-field-behavior": {
            "hidden-fields": ["host", "port", "schema"],
            "relabeling": {"login": "Key id", "password": "Secret"},
            "placeholders": {"login": key, "region": "ap-singapore" if kind.startswith("tencent") else "cn-hangzhou"},
        },
    }


def _chat() -> dict[str, Any]:
    """The connection of the webhook of a chat."""
    shared = _common("")
    fields = {"secret": _text("Signing secret", "Of the bot, if it asks for signatures.", format="password")}
    for name in ("timeout_s", "proxy", "proxy_login", "proxy_password", "ca_bundle"):
        fields[name] = shared[name]
    fields["timeout_s"] = {**fields["timeout_s"], "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 30}}
    return {
        "connection-type": "chat_webhook",
        "hook-class-name": "rescind.hooks.chat_webhook.ChatWebhookHook",
        "hook-name": "Chat webhook",
        "conn-fields": fields,
        "ui-field-behavior": {
            "hidden-fields": ["host", "port", "schema", "login"],
            "relabeling": {"password": "Webhook address"},
            "placeholders": {"password": "https://..."},
        },
    }


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in the form of Airflow's provider schema."""
    network = _choice("Network", "Reach the service over the internet or inside a VPC.", ["public", "vpc"])
    edition = _choice("Edition", "Tencent Cloud site.", ["international", "mainland"])
    imds = {
        "label": "Allow metadata version 1",
        "description": "Only with credentials instance_role: accept a metadata service without security hardening.",
        "schema": {"type": ["boolean", "null"], "default": False},
    }
    alibaba = {"network": network, "allow_imds_v1": imds}
    tenant = _text("Tenant id", "DMS tenant; asked from the service when empty.")
    return {
        "package-name": "airflow-rescind",
        "name": "Rescind",
        "description": "Access reviews and verified revocation.",
        "connection-types": [
            _connection(
                "tencent_wedata",
                "wedata",
                "WeDataHook",
                "Tencent Cloud WeData",
                {**_common("Required, for example ap-singapore."), "edition": edition},
                "AKID...",
            ),
            _connection(
                "alibaba_dms",
                "dms",
                "DmsHook",
                "Alibaba Cloud DMS Enterprise",
                {**_common("Optional; empty means the central host."), "tid": tenant, **alibaba},
                "LTAI...",
            ),
            _connection(
                "alibaba_quickbi",
                "quickbi",
                "QuickBiHook",
                "Alibaba Cloud Quick BI",
                {**_common("Required: the region of the organization, for example cn-hangzhou."), **alibaba},
                "LTAI...",
            ),
            _chat(),
        ],
        "notifications": [f"rescind.notifications.notifiers.{name}Notifier" for name in _CHATS],
        "integrations": [{"integration-name": name, **facts} for name, (_, facts) in _INTEGRATIONS.items()],
        "hooks": _modules("hooks"),
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
        "extra-links": [f"rescind.airflow_support.links.{link}" for link in _LINKS],
    }


def _modules(package: str) -> list[dict[str, Any]]:
    """The modules of one package, by integration."""
    listed = ((name, parts.get(package, ())) for name, (parts, _) in _INTEGRATIONS.items())
    return [
        {"integration-name": name, "python-modules": [f"rescind.{package}.{module}" for module in modules]}
        for name, modules in listed
        if modules
    ]


def _vendor(module: str, page: str, guides: list[str], tag: str) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """One integration: its modules, the vendor's page, our how-to pages (names in ``docs/howto``), its tag."""
    facts = {
        "external-doc-url": page,
        "how-to-guide": [f"/docs/howto/{guide}.md" for guide in guides],
        "tags": ["service", tag],
    }
    return dict.fromkeys(("hooks", "operators", "sensors"), (module,)), facts


_CHATS = ("DingTalk", "Feishu", "WeCom", "Teams")
_LINKS = ("ReviewLink", "ReportLink", "EvidenceLink", "ConsoleLink")
_STAGES = (
    "preflight",
    "discover",
    "decide",
    "offboard",
    "questions.owners",
    "questions.approve",
    "questions.approve_part",
    "canary",
    "revoke",
    "verify",
    "report",
    "full_proof",
)
_REVIEW = (*_STAGES, "restore", "watch", "questions.remind")
_INTEGRATIONS: dict[str, tuple[dict[str, tuple[str, ...]], dict[str, Any]]] = {
    "Rescind": (
        {"hooks": ("ledger", "chat_webhook"), "operators": _REVIEW, "triggers": ("grant_gone",)},
        {"how-to-guide": ["/docs/operating.md", "/docs/howto/notifications.md"], "tags": ["security"]},
    ),
    "Tencent Cloud WeData": _vendor(
        "wedata",
        "https://www.tencentcloud.com/products/wedata",
        ["wedata-privileges", "wedata-data-sources"],
        "data",
    ),
    "Alibaba Cloud DMS Enterprise": _vendor(
        "dms", "https://www.alibabacloud.com/product/data-management-service", ["dms-permissions"], "data"
    ),
    "Alibaba Cloud Quick BI": _vendor(
        "quickbi", "https://www.alibabacloud.com/product/quickbi", ["quickbi-menus"], "bi"
    ),
}
"""Integration name -> its modules by package, and its facts for the provider registry."""
