"""The way of a request: recognize, authenticate, limit, misbehave if scripted, carry out, wrap, write down."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from emulator import alibaba, dms, quickbi, tencent
from emulator.alibaba.front import AlibabaFront
from emulator.clock import http_date
from emulator.errors import ApiError
from emulator.faults import pretend
from emulator.faults.plan import FaultPlan
from emulator.faults.script import FaultScript
from emulator.gateway.front import Front, Inbound, to_json
from emulator.gateway.limits import BucketKey, Limiter
from emulator.gateway.wire import Answer, Request
from emulator.mutate.mutations import Mutations
from emulator.registry import Action, Call
from emulator.tencent.front import TencentFront
from emulator.world import World

_NO_FAULTS = FaultPlan()


@dataclass(slots=True)
class Outcome:
    """What became of a request, for the journal."""

    status: int = 200
    body: Any = None
    code: str = ""
    executed: bool = False
    throttled: bool = False
    headers: dict[str, str] | None = None


def all_actions() -> dict[tuple[str, str], Action]:
    """Every action served, by product and name."""
    tables = [*tencent.load(), alibaba.load(), dms.load(), quickbi.load()]
    return {(table.product, name): action for table in tables for name, action in table.actions.items()}


class Gateway:
    """Serves the clouds' calls."""

    def __init__(
        self, world: World, limiter: Limiter, faults: FaultScript, latency: float = 0.0, jitter: float = 0.0
    ) -> None:
        self.world = world
        self.limiter = limiter
        self.faults = faults
        self.latency = latency
        self.jitter = jitter
        self.actions = all_actions()
        self._fronts: list[Front] = [TencentFront(world), AlibabaFront(world)]
        self.mutations = Mutations(world)
        self._random = random.Random(0)
        self._previous = b""

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        for front in self._fronts:
            inbound = front.open(request)
            if inbound is not None:
                return self._serve(front, inbound)
        body = {"Code": "MissingAction", "Message": "No X-TC-Action, x-acs-action or Action was given."}
        return Answer(400, to_json(body))

    def _serve(self, front: Front, inbound: Inbound) -> Answer:
        outcome, plan, action = Outcome(), _NO_FAULTS, None
        try:
            front.identify(inbound)
            action = self.actions.get((inbound.product, inbound.action))
            if action is None:
                raise front.unknown_action(inbound)
            front.authenticate(inbound, action, self.faults.skew(inbound.product, inbound.action))
            self._limit(front, inbound, outcome)
            plan = self.faults.fire(inbound.product, inbound.action, inbound.shown)
            self._execute(front, inbound, action, plan, outcome)
        except ApiError as error:
            outcome.code, outcome.headers = error.code, error.headers
            outcome.status, outcome.body = front.failure(error, inbound)
        answer = self._answer(front, inbound, plan, outcome)
        self._write_down(inbound, action, plan, outcome, answer.status)
        self._mutate(plan, "after")
        return answer

    def _limit(self, front: Front, inbound: Inbound, outcome: Outcome) -> None:
        account = inbound.identity.account if inbound.identity else ""
        bucket = BucketKey(inbound.product, account, inbound.region, inbound.action)
        wait = self.limiter.admit(bucket, self.faults.load(inbound.product, inbound.action))
        if wait > 0:
            outcome.throttled = True
            raise front.throttled(inbound, self.limiter.limit_for(bucket), wait)

    def _execute(self, front: Front, inbound: Inbound, action: Action, plan: FaultPlan, outcome: Outcome) -> None:
        self._mutate(plan, "before")
        plan.refuse(front.throttled(inbound, 0, 0).code, inbound.vendor)
        params = front.check(action, inbound)
        if not plan.execute:
            payload = pretend.success(action.product, action.name, params) if plan.pretends() else {}
            outcome.body = front.success(action, payload, inbound)
            return
        outcome.body = plan.edit(self._carry_out(front, inbound, action, plan.narrow(action.name, params), plan))
        outcome.executed = True
        plan.fail_after()

    def _carry_out(
        self, front: Front, inbound: Inbound, action: Action, params: dict[str, Any], plan: FaultPlan
    ) -> dict[str, Any]:
        assert inbound.identity is not None
        call = Call(self.world, inbound.identity, inbound.action, params, inbound.request.host)
        self.world.visibility.lag = plan.lag
        try:
            return front.success(action, action.handler(call), inbound)
        finally:
            self.world.visibility.lag = None

    def _mutate(self, plan: FaultPlan, when: str) -> None:
        for moment, actor, operations in plan.mutations:
            if moment == when:
                self.mutations.run(operations, actor)

    def _answer(self, front: Front, inbound: Inbound, plan: FaultPlan, outcome: Outcome) -> Answer:
        answer = front.answer(outcome.status, outcome.body, inbound)
        if inbound.vendor == "alibaba":
            answer.headers["x-acs-request-id"] = inbound.request_id
        answer.headers["Date"] = http_date(self.world.clock.now())
        answer.headers.update(outcome.headers or {})
        if self.latency or self.jitter:
            answer.delay = max(0.0, self.latency + self._random.uniform(-self.jitter, self.jitter))
        body = answer.body
        answer = plan.wire(answer, self._previous)
        self._previous = body
        return answer

    def _write_down(
        self, inbound: Inbound, action: Action | None, plan: FaultPlan, outcome: Outcome, status: int
    ) -> None:
        who = inbound.identity
        resent = bool(inbound.signature) and self.world.keys.seen_signature(inbound.signature)
        self.world.journal.close_entry(
            "request", request_id=inbound.request_id, vendor=inbound.vendor, product=inbound.product,
            action=inbound.action, version=inbound.version, method=inbound.request.method, host=inbound.request.host,
            region=inbound.region, key_id=inbound.key_id, account=who.account if who else "",
            actor=who.user if who else "", write=bool(action and action.write), params=inbound.shown,
            status=status, code=outcome.code, executed=outcome.executed, throttled=outcome.throttled,
            resent=resent, faults=plan.ids, delivery=plan.delivery_name,
        )  # fmt: skip
