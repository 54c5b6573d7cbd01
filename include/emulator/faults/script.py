"""The script: faults with the calls they are for, matched as requests come, and accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.faults.fault import Fault
from emulator.faults.kinds import KINDS
from emulator.faults.plan import FaultPlan
from emulator.faults.wires import Holds

SELECTORS = {"id", "kind", "product", "action", "calls", "from", "to", "every", "rate", "seed", "times", "where"}


class FaultScript:
    """The faults set at the moment, in order. A request can be hit by several."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = 0
        self.holds = Holds()

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, item: Mapping[str, Any]) -> Fault:
        """Set a fault from its JSON form.

        :raises ValueError: for an unknown kind, selector or option, with what is known.
        """
        name = str(item.get("kind", ""))
        if name not in KINDS:
            raise ValueError(f"unknown fault kind {name!r}; known: {', '.join(sorted(KINDS))}")
        kind = KINDS[name]
        options = {key: value for key, value in item.items() if key not in SELECTORS}
        if unknown := set(options) - set(kind.options):
            raise ValueError(f"fault {name} does not take {', '.join(sorted(unknown))}; it takes {kind.options}")
        self._numbers += 1
        calls = frozenset(int(number) for number in item.get("calls", []))
        spread = any(key in item for key in ("from", "to", "every", "rate"))
        fault = Fault(
            str(item.get("id", f"fault-{self._numbers}")), kind, options, str(item.get("product", "*")),
            str(item.get("action", "*")), dict(item.get("where", {})), calls, int(item.get("from", 1)),
            int(item.get("to", 0)), max(1, int(item.get("every", 1))), float(item.get("rate", 1.0)),
            int(item.get("times", 0 if calls or spread else 1)),
        )  # fmt: skip
        fault.random.seed(f"{item.get('seed', 0)}/{fault.id}")
        self._faults.append(fault)
        return fault

    def fire(self, product: str, action: str, params: Mapping[str, Any]) -> FaultPlan:
        """What is to happen to an authenticated, admitted request."""
        if not self._faults:
            return FaultPlan()
        hit = [
            fault for fault in self._faults
            if fault.kind.stage not in ("clock", "load") and fault.wants(product, action, params)
        ]  # fmt: skip
        return FaultPlan(hit, self.holds)

    def skew(self, product: str, action: str) -> float:
        """Seconds by which the service's clock is off for this request."""
        return sum(
            float(fault.options.get("seconds", 0))
            for fault in self._faults
            if fault.kind.stage == "clock" and fault.wants(product, action, {})
        )

    def load(self, product: str, action: str) -> float:
        """Requests per second that others send on the bucket of this request."""
        return sum(
            float(fault.options.get("per_second", 1))
            for fault in self._faults
            if fault.kind.stage == "load" and fault.wants(product, action, {})
        )

    def account(self) -> dict[str, Any]:
        """Every fault with how often it matched and fired."""
        rows = [fault.account() for fault in self._faults]
        return {
            "faults": rows,
            "fired": sum(row["fired"] for row in rows),
            "all_fired": all(row["complete"] for row in rows),
            "not_fired": [row["id"] for row in rows if not row["complete"]],
        }

    def clear(self) -> None:
        """Behave well from now on."""
        self._faults.clear()
