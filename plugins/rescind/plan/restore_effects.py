"""The canonical effects of giving access back: what a person approves, and what may be given by it.

A form of its own beside :mod:`rescind.plan.effects`, so that an approval to give back can never be read as one to
revoke, nor the other way round. :func:`rescind.model.canonical` of one JSON object::

    {"guards": {...}, "operation": "restore", "restores": 1, "source": {"plan": "...", "run": "..."},
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

RESTORES_FORMAT = 1
"""The version of the byte form; a part of it."""
OPERATION = "restore"

Inverse = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SystemGifts:
    """What is given back on one account of one permission system.

    :param identity: who the vendor says the granting connection is.
    :param back: by grant, what its give-back needs, as captured before it was revoked.
    """

    system: str
    account: str
    identity: Mapping[str, str]
    back: Mapping[GrantKey, Inverse]


def restore_effects(
    systems: Iterable[SystemGifts],
    *,
    source_run: str,
    source_plan: str,
    guards: Mapping[str, Any],
    valid_for_s: int,
) -> bytes:
    """The canonical bytes that an approval to give back binds.

    :param source_run: the run that took the grants away; ``source_plan`` is its digest.
    :raises InputError: a grant stands under the wrong system or account, or an account stands twice.
    """
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for gifts in systems:
        place = (gifts.system, gifts.account)
        if place in entries:
            raise InputError("systems", f"names {gifts.system} on one account twice", "Merge the two entries")
        if any((key.system, key.account) != place for key in gifts.back):
            raise InputError("grants", f"hold a grant of another account under {gifts.system}", "Group by account")
        entries[place] = {
            "account": gifts.account,
            "back": {key.grant_id: dict(inverse) for key, inverse in gifts.back.items()},
            "grants": [list(key) for key in sorted(gifts.back)],
            "identity": dict(gifts.identity),
            "system": gifts.system,
        }
    return canonical(
        {
            "guards": guards,
            "operation": OPERATION,
            "restores": RESTORES_FORMAT,
            "source": {"plan": source_plan, "run": source_run},
            "systems": [entries[place] for place in sorted(entries)],
            "valid_for_s": valid_for_s,
        }
    )


def read_gifts(pieces: Iterable[bytes], system: str, account: str) -> dict[GrantKey, Inverse]:
    """What may be given back on one account, read from the approved bytes.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :raises PlanError: they are no effects of giving back, or name none on this account.
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
            "the approved effects are not those of giving back, in the form that this version writes. Plan again"
        ) from None
    raise PlanError(f"the approved effects give nothing back in {system} on account {account}. Nothing was sent")
