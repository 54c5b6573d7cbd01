"""What every connection of a run says about itself: its account, and what its key may do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass

from rescind.cloud.client import CloudClient
from rescind.cloud.connection.permission_probe import Right, allowed_actions, in_short
from rescind.errors import CloudError, ConfigurationError, UnauthorizedError
from rescind.hooks.clients import connected
from rescind.ledger import Ledger, ScopeSpec
from rescind.settings import ReviewRequest, Settings
from rescind.systems import system_named
from rescind.systems.walker import account_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a connection reports about itself."""

    account: str
    rights: Mapping[str, Right]


async def scopes_of_connections(ledger: Ledger, settings: Settings, request: ReviewRequest) -> list[ScopeSpec]:
    """Ask every connection for its identity and rights. The answer names the account of its scopes."""
    pairs = []
    for name in request.systems or tuple(settings.connections):
        if not system_named(name).id_spaces:
            raise ConfigurationError(
                f"{name!r} has no id spaces: neither roster nor protections would know its principals. "
                "Set id_spaces in the class of the system"
            )
        if name not in settings.connections:
            raise ConfigurationError(
                f"no connection is configured for {name!r}: add it under 'connections' in the settings"
            )
        pairs += [(name, conn_id) for conn_id in settings.connections[name]]
    readers = [(name, conn_id) for name, _ in pairs for conn_id in settings.verifying_connections.get(name, ())]
    doors = {(system_named(name).hook, conn_id): name for name, conn_id in [*pairs, *readers]}
    needs: dict[tuple[str, str], set[str]] = {door: set() for door in doors}
    for name, conn_id in [*pairs, *readers]:
        needs[system_named(name).hook, conn_id] |= system_named(name).reads
    for name, conn_id in pairs:
        needs[system_named(name).hook, conn_id] |= system_named(name).revoke_actions
    # All are waited for, also when one fails: a user with two broken connections reads about both at once.
    answers = await asyncio.gather(
        *(_ask(ledger, settings, name, conn_id, needs[hook, conn_id]) for (hook, conn_id), name in doors.items()),
        return_exceptions=True,
    )
    known = dict(zip(doors, _unbroken(answers), strict=True))
    for name, conn_id in [*pairs, *readers]:
        _check_reads(name, conn_id, known[system_named(name).hook, conn_id].rights)
    specs: list[ScopeSpec] = []
    for name, conn_id in pairs:
        found = known[system_named(name).hook, conn_id]
        seen = {known[system_named(other).hook, one].account for other, one in readers if other == name}
        if seen and found.account not in seen:
            raise ConfigurationError(
                f"no verifying connection of {name!r} answers for account {found.account}, only for "
                f"{', '.join(sorted(seen))}. Add one under 'verifying_connections' in the settings"
            )
        if any((spec.system, spec.account) == (name, found.account) for spec in specs):
            raise ConfigurationError(f"two connections of {name!r} answer for account {found.account}; keep one")
        specs.append(ScopeSpec(system=name, account=found.account, conn_id=conn_id))
    return specs


def _unbroken(answers: list[_Known | BaseException]) -> list[_Known]:
    broken = [answer for answer in answers if isinstance(answer, BaseException)]
    if len(broken) > 1 and all(isinstance(error, ConfigurationError) for error in broken):
        raise ConfigurationError("\n".join(map(str, broken)))
    if broken:
        raise broken[0]
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _check_reads(name: str, conn_id: str, rights: Mapping[str, Right]) -> None:
    system = system_named(name)
    refused = {action for action in system.reads if rights.get(action) == "refused"}
    if optional := sorted(refused & system.optional_reads):
        log.warning(
            "connection %s may not call %s: a record of %s that goes is then never called access that is gone",
            conn_id,
            ", ".join(optional),
            name,
        )
    if needed := sorted(refused - system.optional_reads):
        raise ConfigurationError(
            f"connection {conn_id!r} may not call {', '.join(needed)}, which {name} needs to find and verify. "
            "Allow these actions for its key; docs/connecting.md lists the minimum for each system"
        )


async def _ask(ledger: Ledger, settings: Settings, name: str, conn_id: str, needed: Set[str]) -> _Known:
    """Return account and rights of a connection. Only the needed actions are tried: a key needs no others."""
    try:
        async with connected(system_named(name), conn_id, ledger, settings) as (client, _):
            _check_own_ids(client, conn_id)
            rights = await allowed_actions(client, [probe for probe in client.probes if probe.action in needed])
            log.info("connection %s, account %s: %s", conn_id, account_of(client), in_short(rights))
            return _Known(account_of(client), rights)
    except CloudError as error:
        remedy = (
            "Check where its key comes from: login (key id), password (secret), session_token, or 'credentials'"
            if isinstance(error, UnauthorizedError)
            else "Check region, edition and the network between this worker and the vendor"
        )
        raise ConfigurationError(f"connection {conn_id!r} does not answer: {error}. {remedy}") from error


def _check_own_ids(client: CloudClient, conn_id: str) -> None:
    """Check that our own ids are known. Where the vendor cannot report them, the connection must."""
    if client.settings.own_ids:
        return
    if client.service == "wedata":
        reason = "WeData does not tell which of its users a key belongs to"
    elif client.identity is not None and "role" in client.identity.kind.lower():
        reason = "an assumed role is no user of the platform, so its own access cannot be told apart"
    elif client.identity is not None and not client.identity.user_id:
        reason = "the vendor names no user for its key"
    else:
        return
    raise ConfigurationError(
        f"connection {conn_id!r} names no own_ids: {reason}. Add the platform's user ids of this key to the extras, "
        'for example "own_ids": ["700000000001"]'
    )
