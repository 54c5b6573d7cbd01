"""The journal: every request and every effect, append-only. It is the oracle of tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from emulator.clock import Clock


def _appended(path: Path) -> IO[str]:
    """Open a file for writing at its end, with mode 600 when it is new; a link is refused."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8")


class Journal:
    """Entries in order, each with a sequence number from 1.

    ``kind`` is ``request`` (a call of a cloud, refused ones included), ``effect`` (one grant or membership
    added or removed) or ``control`` (a change made through the control interface). An effect names the
    entry that caused it in ``cause``.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._entries: list[dict[str, Any]] = []
        self._pending: list[dict[str, Any]] = []
        self._file: IO[str] | None = _appended(path) if path else None

    def __len__(self) -> int:
        return len(self._entries)

    def effect(self, op: str, system: str, grant: dict[str, Any]) -> None:
        """Note that a grant was ``removed``, ``added`` or ``changed`` by what is being carried out now."""
        self._pending.append({"op": op, "system": system, "grant": grant})

    def close_entry(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Write a request or control entry, and after it the effects that it had."""
        entry = {"kind": kind, **fields, "effects": len(self._pending)}
        self._append(entry)
        pending, self._pending = self._pending, []
        for effect in pending:
            self._append({
                "kind": "effect", **effect, "cause": entry["seq"], "action": fields.get("action", ""),
                "request_id": fields.get("request_id", ""), "actor": fields.get("actor", ""),
            })  # fmt: skip
        if self._file is not None:
            self._file.flush()
        return entry

    def _append(self, entry: dict[str, Any]) -> None:
        entry["seq"] = len(self._entries) + 1
        entry["time"] = round(self._clock.now(), 6)
        entry["mono"] = round(self._clock.mono(), 6)
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")

    def after(self, seq: int, limit: int = 0, kind: str = "") -> list[dict[str, Any]]:
        """Entries with a larger number, oldest first."""
        entries = self._entries[max(0, seq) :]
        if kind:
            entries = [entry for entry in entries if entry["kind"] == kind]
        return entries[:limit] if limit > 0 else entries

    def clear(self) -> None:
        """Start again at 1 (the file keeps what was written)."""
        self._entries.clear()
        self._pending.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
