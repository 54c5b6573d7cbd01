"""The control interface under ``/_control``: the truth, the journal, figures, and everything a test may change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import islice
from typing import Any

from emulator.faults.script import FaultScript
from emulator.gateway.front import to_json
from emulator.gateway.gateway import Gateway
from emulator.gateway.limits import Limiter, Load
from emulator.gateway.wire import Answer, Request
from emulator.signing.alibaba import parse_query
from emulator.snapshot import beside_grants, snapshot
from emulator.store.people import as_rows, protected_ids, roster_csv
from emulator.world import ORGANIZATION_ID, SYSTEMS, TENANT_ID, World

Query = dict[str, str]


class Control:
    """Answers requests for the control interface. Errors are HTTP 400 with a text that names the remedy."""

    def __init__(
        self, world: World, limiter: Limiter, faults: FaultScript, gateway: Gateway, reset: Callable[..., None]
    ) -> None:
        self.world = world
        self.limiter = limiter
        self.faults = faults
        self.gateway = gateway
        self.reset = reset
        self._gets: dict[str, Callable[[Query], Any]] = {
            "health": self._health, "truth": self._truth, "world": self._world, "journal": self._journal,
            "stats": self._stats, "usage": self._usage,
            "org": self._org, "protected": self._protected, "faults": self._list_faults, "modes": self._modes,
            "clock": self._clock, "actions": self._actions,
        }  # fmt: skip
        self._posts: dict[str, Callable[[Any], Any]] = {
            "faults": self._set_faults, "mutate": self._mutate, "reset": self._reset, "clock": self._set_clock,
            "modes": self._set_modes, "limits": self._set_limits, "load": self._set_load, "release": self._release,
            "expire_sessions": self._expire, "remove_key": self._remove_key,
        }  # fmt: skip

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        name = request.path.removeprefix("/_control").strip("/")
        try:
            if request.method == "GET" and name == "roster.csv":
                return Answer(200, roster_csv(self.world.people).encode(), "text/csv; charset=utf-8")
            if request.method == "GET" and name in self._gets:
                return Answer(200, to_json(self._gets[name](dict(parse_query(request.query)))))
            if request.method == "POST" and name in self._posts:
                return Answer(200, to_json(self._posts[name](json.loads(request.body or b"{}"))))
            if request.method == "DELETE" and name == "faults":
                self.faults.clear()
                return Answer(200, to_json(self._list_faults({})))
        except (ValueError, KeyError, TypeError) as error:
            return Answer(400, to_json({"error": str(error)}))
        known = {"GET": sorted([*self._gets, "roster.csv"]), "POST": sorted(self._posts), "DELETE": ["faults"]}
        return Answer(404, to_json({"error": f"no {request.method} /_control/{name}", "known": known}))

    def _health(self, query: Query) -> dict[str, Any]:
        world = self.world
        return {"status": "ok", "pid": os.getpid(), "grants": world.counts(), "journal": len(world.journal),
                "held": self.faults.holds.waiting}  # fmt: skip

    def _truth(self, query: Query) -> dict[str, Any]:
        """All grants, or those of ``system`` (from ``offset``, ``limit`` of them); with ``count=1`` only numbers."""
        world = self.world
        if query.get("count"):
            return world.counts()
        wanted = [query["system"]] if "system" in query else list(SYSTEMS)
        start, limit = int(query.get("offset", 0)), int(query.get("limit", 0))
        stop = start + limit if limit else None
        result: dict[str, Any] = {system: list(islice(world.truth(system), start, stop)) for system in wanted}
        if query.get("extra"):
            result |= beside_grants(world)
        return result

    def _world(self, query: Query) -> dict[str, Any]:
        """Everything that decides about access, for a judge that works out the ways in by itself."""
        return snapshot(self.world)

    def _usage(self, query: Query) -> dict[str, Any]:
        """Every use, also what no log shows any more or ever showed; with ``count=1`` only numbers."""
        rows = self.world.usage.rows()
        return {name: len(found) for name, found in rows.items()} if query.get("count") else dict(rows)

    def _journal(self, query: Query) -> dict[str, Any]:
        journal = self.world.journal
        entries = journal.after(int(query.get("after", 0)), int(query.get("limit", 0)), query.get("kind", ""))
        return {"entries": entries, "last": entries[-1]["seq"] if entries else len(journal)}

    def _stats(self, query: Query) -> dict[str, Any]:
        return self.limiter.stats()

    def _org(self, query: Query) -> dict[str, Any]:
        world = self.world
        tool = [row for row in as_rows(world.people) if row["is_tool"]]
        return {
            "seed": world.settings.get("seed"), "sizes": world.settings.get("sizes"), "grants": world.counts(),
            "keys": world.keys.public(), "tool": tool[0] if tool else None, "people": as_rows(world.people),
            "dms_tenant_id": str(TENANT_ID), "quickbi_organization_id": ORGANIZATION_ID,
            "projects": [{"project_id": item.project_id, "name": item.name} for item in world.projects.values()],
            "portals": [{"portal_id": item.portal_id, "name": item.name} for item in world.quickbi.portals.values()],
        }  # fmt: skip

    def _protected(self, query: Query) -> dict[str, Any]:
        return protected_ids(self.world.people)

    def _list_faults(self, query: Query) -> dict[str, Any]:
        return self.faults.account()

    def _modes(self, query: Query) -> dict[str, Any]:
        return self.world.modes.as_dict()

    def _clock(self, query: Query) -> dict[str, Any]:
        clock = self.world.clock
        return {"now": clock.now(), "offset": clock.offset}

    def _actions(self, query: Query) -> list[dict[str, Any]]:
        return [
            {"product": action.product, "action": action.name, "write": action.write, "methods": list(action.methods)}
            for action in self.gateway.actions.values()
        ]

    def _set_faults(self, given: Any) -> dict[str, Any]:
        """Add faults: one object, a list, or ``{"faults": [...], "replace": true}``."""
        items = given.get("faults", [given]) if isinstance(given, dict) else given
        if isinstance(given, dict) and given.get("replace"):
            self.faults.clear()
        added = [self.faults.add(item).id for item in items]
        return {"added": added, **self.faults.account()}

    def _mutate(self, given: Any) -> dict[str, Any]:
        operations = given if isinstance(given, list) else given.get("ops", [given])
        actor = given.get("actor", "somebody-else") if isinstance(given, dict) else "somebody-else"
        return {"changed": self.gateway.mutations.run(operations, str(actor))}

    def _reset(self, given: Any) -> dict[str, Any]:
        self.reset(given.get("seed"), keep_journal=bool(given.get("keep_journal")))
        return self._health({})

    def _set_clock(self, given: Any) -> dict[str, Any]:
        clock = self.world.clock
        clock.offset = float(given["offset"]) if "offset" in given else clock.offset + float(given["advance"])
        return self._clock({})

    def _set_modes(self, given: Any) -> dict[str, Any]:
        for name, value in given.items():
            self.world.modes.set(name, str(value))
        return self._modes({})

    def _set_limits(self, given: Any) -> dict[str, Any]:
        """Limits by product or ``product.Action``; 0 for none."""
        for name, value in given.items():
            self.limiter.limits[str(name)] = float(value)
        return dict(self.limiter.limits)

    def _set_load(self, given: Any) -> dict[str, Any]:
        """Requests of others on a bucket: ``action``, ``rate`` per second, ``seconds``."""
        limiter = self.limiter
        until = self.world.clock.mono() + float(given.get("seconds", 60))
        limiter.loads.append(Load(str(given.get("action", "*")), float(given["rate"]), until))
        return {"loads": len(limiter.loads)}

    def _release(self, given: Any) -> dict[str, Any]:
        return {"released": self.faults.holds.release()}

    def _expire(self, given: Any) -> dict[str, Any]:
        return {"ended": self.world.keys.expire_sessions(self.world.clock.now())}

    def _remove_key(self, given: Any) -> dict[str, Any]:
        return {"removed": self.world.keys.remove(str(given["key_id"]))}
