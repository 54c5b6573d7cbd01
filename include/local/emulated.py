"""What the stack hands to Airflow when the emulator stands in for the vendors: connections, settings, files.

Everything here comes from the emulator's own control interface, which knows the organization it plays.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from local.config import Config
from local.errors import StartError
from local.safe_files import own_folder, read, write_private
from local.state import new_key, public_half

TOKEN = "RESCIND_EMULATOR_TOKEN"
"""Environment variable of the emulator's process: the token of its control interface."""

TOOL = "rescind-bot"
"""The name of the tool's own identity in the emulated organization."""

KEYS = {"DEFAULT": TOOL, "GRANTING": "second-application"}
"""Whose key each kind of connection has: one to list and revoke, one to restore."""

PUBLIC_KEY = "evidence.pub.pem"
"""File in the demonstration's folder: the public half of the key that signs its evidence."""

CHANGES = "RESCIND_DEMO_SETTINGS"
"""Environment variable: a JSON object of deployment settings to change in the demonstration."""

LIMITS = "RESCIND_DEMO_LIMITS"
"""Environment variable: a JSON object of limits (requests a second by action) that the connections shall keep."""

SETTINGS: dict[str, Any] = {
    "approvers": ["omar", "ada"],
    # A run about named people would end red where no vendor action tells who reaches a thing (database passwords,
    # sharing modes), and for the few people without wedata_uin.
    "record_gone_fails": [],
    "max_revocations": 5000,
    "max_percent": 60,
    "max_per_principal": 500,
    "batch_seconds": 6,
    "settle_seconds": 0.5,
    "settle_limit_seconds": 30,
    "max_restores": 5000,
    "granting_connections": {
        "wedata_privileges": ["wedata_granting"],
        "wedata_data_sources": ["wedata_granting"],
        "dms_permissions": ["dms_granting"],
        "quickbi_menus": ["quickbi_granting"],
    },
}
"""Deployment settings of the demonstration; paths are added by :func:`variables`."""


class Control:
    """The emulator's control interface.

    :param url: address of the emulator.
    :param token: what the emulator was started with, see :class:`local.state.Secrets`.
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(
            base_url=f"{url}/_control", headers=headers, timeout=60, trust_env=False, verify=False
        )

    def get(self, path: str) -> Any:
        """An answer as JSON."""
        return self._send("GET", path).json()

    def text(self, path: str) -> str:
        """An answer as text."""
        return self._send("GET", path).text

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a command."""
        answer = self._send("POST", path, dict(body or {}))
        return answer.json() if answer.content else None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            answer = self._client.request(method, f"/{path}", json=body)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise StartError(f"The emulator's control interface failed on {method} {path}: {error}.") from error
        return answer


def connections(url: str, control: Control) -> dict[str, str]:
    """Connections to the emulator, as ``AIRFLOW_CONN_...`` variables.

    :raises StartError: when the emulator plays an organization without the tool's identity.
    """
    organization = control.get("org")
    try:
        keys = {(key["vendor"], key["name"]): key for key in reversed(organization["keys"])}
        own = next(person for person in organization["people"] if person.get("name") == TOOL)
        uses = {use: (keys["tencent", name], keys["alibaba", name]) for use, name in KEYS.items()}
    except (KeyError, StopIteration):
        raise StartError(f"The emulator knows no identity {TOOL}.", "Run make down and try again.") from None
    common: dict[str, Any] = {"base_url": url, "allow_loopback_http": True}
    limits = json.loads(os.environ.get(LIMITS, "{}"))
    if limits:
        common["limits"] = limits
    rows: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
        ("WEDATA", "tencent_wedata", 0, {"region": "ap-singapore", "own_ids": [own["wedata_user_id"]]}),
        # the vendor publishes no limits; the emulator's is 20
        ("DMS", "alibaba_dms", 1, {"limits": {"*": 20, **limits}}),
        ("QUICKBI", "alibaba_quickbi", 1, {"region": "cn-hangzhou"}),
    )
    return {
        f"AIRFLOW_CONN_{name}_{use}": json.dumps(
            {
                "conn_type": kind,
                "login": pair[vendor]["key_id"],
                "password": pair[vendor]["secret"],
                "extra": {**common, **extra},
            }
        )
        for name, kind, vendor, extra in rows
        for use, pair in uses.items()
    }


def variables(config: Config, control: Control) -> dict[str, str]:
    """The deployment settings, as environment variables; writes the files that they name."""
    folder = config.state / "demo"
    own_folder(folder)
    write_private(folder / "roster.csv", _roster(control))
    people = [
        {"space": "person_id", "id": person["person_id"], "reason": person["reason"]}
        for person in control.get("protected")["people"]
    ]
    protected = {"format": 1, "unknown_kind": "protect", "kinds": ["system"], "principals": people, "resources": []}
    write_private(folder / "protected.yaml", json.dumps(protected, indent=1) + "\n")  # JSON is YAML
    write_private(folder / "exceptions.yaml", json.dumps(_exceptions(control), indent=1) + "\n")
    changes: dict[str, Any] = json.loads(os.environ.get(CHANGES, "{}"))
    paths = {
        "roster": str(folder / "roster.csv"),
        "protections": str(folder / "protected.yaml"),
        "exceptions": str(folder / "exceptions.yaml"),
        "summaries": str(folder / "summaries"),
        "evidence": str(folder / "evidence"),
        "evidence_key_file": str(_signing_key(folder)),
    }
    return {
        "AIRFLOW_VAR_RESCIND_SETTINGS": json.dumps({**SETTINGS, **changes, **paths}),
        # A review that its own schedule makes due would come before the one that is shown.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        # Short pauses show a review sooner; they cost a fifth of a core while nothing happens.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    }


def _roster(control: Control) -> str:
    """The roster with the ids under which WeData lists members; every eighth person has none, as after a transfer."""
    uins = {person["person_id"]: person["wedata_uin"] for person in control.get("org")["people"]}
    rows = list(csv.DictReader(io.StringIO(control.text("roster.csv"))))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*rows[0], "wedata_uin"], lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(rows):
        writer.writerow({**row, "wedata_uin": "" if number % 8 == 5 else uins[row["person_id"]]})
    return out.getvalue()


def _exceptions(control: Control) -> dict[str, Any]:
    """A waiver for one leaver's grants on one data source: somebody still hands their work over."""
    people = control.get("org")["people"]
    gone = {person["wedata_user_id"] for person in people if person["status"] == "left" and not person["protected"]}
    held = next((row for row in control.get("truth")["wedata_data_sources"] if row["user_id"] in gone), None)
    if held is None:
        return {"format": 1, "exceptions": []}
    waiver = {
        "id": "EX-DEMO-1",
        "owner": next(person["person_id"] for person in people if person["status"] == "active"),
        "reason": "hands over the monthly closing",
        "end": (datetime.now(UTC) + timedelta(days=14)).strftime("%Y-%m-%d"),
        "match": {
            "system": "wedata_data_sources",
            "resource_id": held["data_source_id"],
            "principal_id": held["user_id"],
        },
    }
    return {"format": 1, "exceptions": [waiver]}


def _signing_key(folder: Path) -> Path:
    """The key that signs this stack's evidence, made once; its public half lies beside it, for the verifier."""
    private, public = folder / "evidence.pem", folder / PUBLIC_KEY
    if read(private) is None or read(public) is None:
        key = new_key()
        write_private(private, key)
        write_private(public, public_half(key))
    return private
