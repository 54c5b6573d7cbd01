"""The emulator as a test fixture: a process of its own, on a free loopback port, stopped at the end."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    :param url: its base URL.
    :param keys: the credentials it knows.
    :param token: of its control interface.
    """

    url: str
    keys: list[dict[str, str]]
    token: str

    def get(self, path: str) -> Any:
        """A control answer, parsed as JSON."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        """A control answer as text."""
        return self._control(path).decode()

    def writes(self, action: str = "") -> list[dict[str, Any]]:
        """Every write that arrived, executed or not, in order."""
        entries = self.get("journal")["entries"]
        return [e for e in entries if e["kind"] == "request" and e["write"] and action in ("", e["action"])]

    def post(self, path: str, body: Any) -> Any:
        """Send a control command."""
        return json.loads(self._control(path, json.dumps(body).encode()) or b"null")

    def _control(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.url}/_control/{path}", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def key(self, vendor: str, name: str = "rescind-bot") -> dict[str, str]:
        """The credential of that name."""
        return next(key for key in self.keys if key["vendor"] == vendor and key["name"] == name)

    def connections(self, *, limits: dict[str, float] | None = None) -> dict[str, dict[str, Any]]:
        """Airflow connections that lead here, by connection id, as JSON values."""
        common = {"base_url": self.url, "allow_loopback_http": True, **({"limits": limits} if limits else {})}
        own = next(p for p in self.get("org")["people"] if p.get("name") == "rescind-bot")
        out = {}
        for conn_id, kind, vendor, extra in (
            (
                "wedata_default",
                "tencent_wedata",
                "tencent",
                {"region": "ap-singapore", "own_ids": [own["wedata_user_id"]]},
            ),
            ("dms_default", "alibaba_dms", "alibaba", {}),
            ("quickbi_default", "alibaba_quickbi", "alibaba", {"region": "cn-hangzhou"}),
        ):
            key = self.key(vendor)
            out[conn_id] = {
                "conn_type": kind,
                "login": key["key_id"],
                "password": key["secret"],
                "extra": {**common, **extra},
            }
        return out


@contextmanager
def running_emulator(folder: Path, *options: str) -> Iterator[Emulator]:
    """Start an emulator with these command-line options and stop it afterwards."""
    ready = folder / "emulator.json"
    ready.unlink(missing_ok=True)
    log = (folder / "emulator.log").open("wb")
    program = [sys.executable, str(ROOT / "include/emulator"), "serve"]
    command = [*program, "--port", "0", "--ready-file", str(ready), *options]
    env = {**os.environ, "PYTHONPATH": "", "RESCIND_EMULATOR_TOKEN": (token := secrets.token_urlsafe(24))}
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the emulator did not start: {(folder / 'emulator.log').read_text()[-2000:]}")
            time.sleep(0.05)
        facts = json.loads(ready.read_text())
        yield Emulator(facts["url"], facts["keys"], token)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()
