"""What the faults that hit one request do to it, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from emulator.errors import ApiError
from emulator.faults import edit, pretend, wires
from emulator.faults.fault import Fault
from emulator.gateway.wire import Answer
from emulator.visibility import Lag

_TOKEN_ERRORS = {
    "tencent": ApiError("AuthFailure.TokenFailure", "The token has expired."),
    "alibaba": ApiError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.", 400),
}


class FaultPlan:
    """The faults of one request; without any, everything passes through unchanged."""

    __slots__ = ("_edited", "_faults", "_holds", "_replies")

    def __init__(self, faults: Sequence[Fault] = (), holds: wires.Holds | None = None) -> None:
        self._faults = faults
        self._holds = holds or wires.Holds()
        self._edited: set[str] = set()
        self._replies: list[Callable[[dict[str, Any]], dict[str, Any]]] = []

    def _of(self, *stages: str) -> list[Fault]:
        return [fault for fault in self._faults if fault.kind.stage in stages]

    @property
    def ids(self) -> list[str]:
        """Ids of the faults, for the journal."""
        return [fault.id for fault in self._faults]

    @property
    def delivery_name(self) -> str:
        """How the answer went: ``answered``, or the kinds that changed the way it went."""
        names = [fault.kind.name for fault in self._of("deliver", "replace", "bytes")]
        return "+".join(names) or "answered"

    @property
    def execute(self) -> bool:
        """False when the call is not to be carried out."""
        return all(fault.kind.executes for fault in self._faults)

    @property
    def lag(self) -> Lag | None:
        """How long what this call removes stays visible."""
        for fault in self._of("lag"):
            options = fault.options
            return Lag(float(options.get("seconds", 0)), int(options.get("reads", 0)), bool(options.get("flap")))
        return None

    @property
    def mutations(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Changes by others around this call: (``before`` or ``after``, who, operations)."""
        return [
            (fault.options.get("when", "before"), f"fault {fault.id}", fault.options.get("ops", []))
            for fault in self._of("mutate")
        ]

    def refuse(self, throttle_code: str, vendor: str) -> None:
        """Refuse the call when a fault says so.

        :raises ApiError: the scripted error.
        """
        for fault in self._of("refuse"):
            options = fault.options
            if fault.kind.name == "expired_token":
                raise _TOKEN_ERRORS[vendor]
            if fault.kind.name == "throttle":
                raise _throttle(options, throttle_code, vendor)
            raise _error(options)

    def fail_after(self) -> None:
        """Answer with an error although the call has been carried out.

        :raises ApiError: the scripted error.
        """
        for fault in self._of("after"):
            raise _error(fault.options)

    def pretends(self) -> bool:
        """True when success is to be claimed without doing anything."""
        return bool(self._of("pretend"))

    def narrow(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters as they are really carried out."""
        for fault in self._of("params"):
            name, options = fault.kind.name, fault.options
            if name in ("page_repeat", "page_endless"):
                params = {key: value for key, value in params.items() if key not in ("PageNumber", "PageNum")}
            elif name == "page_shift":
                params = {**params, "_shift": int(options.get("by", 1))}
            else:
                params, reply = pretend.partial(action, params, int(options.get("count", 1)), options)
                self._replies.append(reply)
        return params

    def edit(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer's content after the faults."""
        for reply in self._replies:
            body = reply(body)
        for fault in self._of("edit"):
            changed = edit.apply(body, fault.kind.name, fault.options)
            self._edited.add(fault.id)
            if changed is None:
                fault.idle.append(fault.seen)
            else:
                body = changed
        for fault in self._of("params"):
            if fault.kind.name == "page_endless":
                body = edit.apply(body, "total", {"value": 1_000_000_000}) or body
        return body

    def wire(self, answer: Answer, previous: bytes) -> Answer:
        """The answer's bytes and the way they go after the faults."""
        for fault in self._of("edit"):
            if fault.id not in self._edited:
                fault.idle.append(fault.seen)
        for fault in self._of("delay"):
            answer.delay += float(fault.options.get("seconds", 1))
        for fault in self._of("replace"):
            answer = wires.replace(answer, fault.kind.name, fault.options)
        for fault in self._of("bytes"):
            answer = wires.change(answer, fault.kind.name, fault.options, previous)
        for fault in self._of("deliver"):
            answer.delivery = wires.delivery(fault.kind.name, fault.options, self._holds)
        return answer


def _throttle(options: dict[str, Any], code: str, vendor: str) -> ApiError:
    headers = {}
    if "retry_after" in options:
        name = options.get("header", "x-acs-retry-after" if vendor == "alibaba" else "Retry-After")
        headers[str(name)] = str(options["retry_after"])
    code = str(options.get("code", code))
    return ApiError(code, "Request was denied due to flow control.", int(options.get("status", 400)), headers=headers)


def _error(options: dict[str, Any]) -> ApiError:
    return ApiError(
        str(options.get("code", "InternalError")), str(options.get("message", "A scripted error.")),
        int(options.get("status", 400)), in_body=bool(options.get("in_body")),
        headers={str(name): str(value) for name, value in options.get("headers", {}).items()},
    )  # fmt: skip
