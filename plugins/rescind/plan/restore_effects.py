"""The canonical effects of a restore: what a person approves, and what may be granted under the approval.

A form of its own beside :mod:`rescind.plan.effects`, so that an approval to restore is never read as one to
revoke, nor the reverse. :func:`rescind.model.canonical` of one JSON object::

    {"guards": {...}, "operation": "restore", "restores": 2, "settings": "...",
     "source": {"plan": "...", "run": "..."},
     "systems": [{"account": "...", "back": {grant id: inverse}, "grants": [key, ...], "identity": {...},
                  "system": "..."}], "valid_for_s": 3600}

``back`` holds what was captured before the act, so the digest binds levels and end dates too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rescind.errors import InputError, PlanError
from rescind.model import GrantKey, canonical

RESTORES_FORMAT = 2
"""The version of the byte form; a part of it."""
OPERATION = "restore"

Inverse = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SystemRestores:
    """What is restored on one account of one permission system.

    :param identity: who the vendor says the granting connection is.
    :param back: by grant, what its restore needs, as captured before it was revoked.
    """

    system: str
    account: str
    identity: Mapping[str, str]
    back: Mapping[GrantKey, Inverse]


def restore_effects(
    systems: Iterable[SystemRestores],
    *,
    source_run: str,
    source_plan: str,
    settings: str,
    guards: Mapping[str, Any],
    valid_for_s: int,
) -> bytes:
    """Return the canonical bytes that an approval of a restore binds.

    :param source_run: the run that revoked the grants; ``source_plan`` is its digest.
    :param settings: SHA-256 (hex) of the settings that the run recorded; empty for a run without a record.
    :raises InputError: a grant is listed under the wrong system or account, or an account is listed twice.
    """
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in systems:
        account_key = (entry.system, entry.account)
        if account_key in entries:
            raise InputError("systems", f"names {entry.system} on one account twice", "Merge the two entries")
        if any((key.system, key.account) != account_key for key in entry.back):
            raise InputError("grants", f"hold a grant of another account under {entry.system}", "Group by account")
        entries[account_key] = {
            "account": entry.account,
            "back": {key.grant_id: dict(inverse) for key, inverse in entry.back.items()},
            "grants": [list(key) for key in sorted(entry.back)],
            "identity": dict(entry.identity),
            "system": entry.system,
        }
    return canonical(
        {
            "guards": guards,
            "operation": OPERATION,
            "restores": RESTORES_FORMAT,
            "settings": settings,
            "source": {"plan": source_plan, "run": source_run},
            "systems": [entries[account_key] for account_key in sorted(entries)],
            "valid_for_s": valid_for_s,
        }
    )


def restored_ids(pieces: Iterable[bytes]) -> set[str]:
    """Return the ids of all grants that may be restored, read from the approved bytes.

    :param pieces: the canonical bytes, checked against the digest by the caller.
    """
    whole = json.loads(b"".join(pieces))
    return {GrantKey(*key).grant_id for entry in whole["systems"] for key in entry["grants"]}


def read_restores(pieces: Iterable[bytes], system: str, account: str) -> dict[GrantKey, Inverse]:
    """Return what may be restored on one account, read from the approved bytes.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :raises PlanError: they are not the effects of a restore, or contain none on this account.
    """
    try:
        whole = json.loads(b"".join(pieces))
        if (whole["restores"], whole["operation"]) != (RESTORES_FORMAT, OPERATION):
            raise ValueError
        for entry in whole["systems"]:
            if (entry["system"], entry["account"]) == (system, account):
                keys = [GrantKey(*key) for key in entry["grants"]]
                return {key: entry["back"][key.grant_id] for key in keys}
    except (ValueError, KeyError, TypeError):
        raise PlanError(
            "the approved effects are not those of a restore in the format of this version. Create the plan again"
        ) from None
    raise PlanError(f"the approved effects restore nothing in {system} on account {account}. Nothing was sent")
