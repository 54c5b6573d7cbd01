"""Judges broken answers and compares what comes out with the second reading."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescind.cloud.answers.outcomes import Said
from rescind.cloud.answers.responses import judge
from rescind.cloud.base import Answer, ListRequest, ReadRequest
from rescind.cloud.paging import Bounds, Listing, collect
from rescind.cloud.transport import Raw
from rescind.errors import (
    CloudError,
    ListingIncompleteError,
    MalformedResponseError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)
from tests.fuzz import reading
from tests.fuzz.goldens import PAGE_SIZE, Golden, Sent
from tests.fuzz.mutator import mutate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = (200,) * 30 + (204, 302, 400, 403, 404, 429, 500, 502, 503, 504)
HEADERS: tuple[dict[str, str], ...] = (
    {}, {}, {"x-acs-retry-after": "250"}, {"retry-after": "3"}, {"retry-after": "\u0663"}, {"retry-after": "9" * 400},
)  # fmt: skip
OF_A_READ = (ThrottledError, TransientError, RefusedError, NotFoundError, UnauthorizedError, MalformedResponseError)
OF_A_WRITE = (ThrottledError, RefusedError, NotFoundError, UnauthorizedError, UnknownOutcomeError)
SLOWEST_S = 3.0
"""More than this for one small answer is no noise of a busy machine."""


class WrongVerdictError(AssertionError):
    """An answer was taken for more than it says."""


@dataclass
class Tally:
    """What became of the cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def cases(self) -> int:
        return sum(self.outcomes.values())


class _Pages:
    """Serves pages to the listing code: the golden ones, and the broken one in its place."""

    def __init__(self, golden: Golden, place: int, broken: Raw) -> None:
        self.golden = golden
        self.place = place
        self.broken = broken
        self.read_bodies: list[bytes] = []

    async def read(self, request: ReadRequest[Any]) -> Answer[Any]:
        number = len(self.read_bodies)
        if number >= len(self.golden.pages):
            raise ListingIncompleteError(self.golden.name, "no golden page is left")
        page = self.golden.pages[number]
        raw = self.broken if number == self.place else raw_of(page)
        self.read_bodies.append(raw.body)
        judged = judge(page.prepared, raw, repeated=lambda request_id: False)
        if judged.error is not None:
            raise judged.error
        assert judged.answer is not None
        return judged.answer


def raw_of(page: Sent) -> Raw:
    """A golden page as it came."""
    return Raw(page.status, {}, page.body, NOW, NOW)


def case(goldens: list[Golden], documents: list[Any], rng: random.Random) -> tuple[Golden, int, Raw]:
    """One broken answer: of which message, which page of it, and the bytes."""
    golden = rng.choice(goldens)
    place = rng.randrange(len(golden.pages)) if rng.random() < 0.5 else 0
    page = golden.pages[place]
    body = mutate(rng, page.body, json.loads(page.body), documents)
    status = page.status if rng.random() < 0.9 else rng.choice(STATUSES)
    return golden, place, Raw(status, rng.choice(HEADERS), body, NOW, NOW)


def run(golden: Golden, place: int, raw: Raw, tally: Tally) -> None:
    """Judge one answer and check the outcome.

    :raises WrongVerdictError: when the outcome is more than the bytes say, or no typed error.
    """
    page = golden.pages[place]
    began = time.perf_counter()
    try:
        judged = judge(page.prepared, raw, repeated=lambda request_id: False)
    except Exception as error:
        raise WrongVerdictError(f"judge raised {type(error).__name__}: {error}") from error
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    if (judged.answer is None) == (judged.error is None):
        raise WrongVerdictError("neither or both of answer and error")
    if judged.error is not None:
        check_error(golden, raw, judged.error)
        tally.outcomes[type(judged.error).__name__] += 1
    elif golden.message.write:
        check_write(golden, raw, judged.answer)
        tally.outcomes["accepted"] += 1
    else:
        check_read(golden, raw, judged.answer)
        tally.outcomes["read"] += 1
    if isinstance(golden.message, ListRequest) and judged.answer is not None:
        tally.outcomes["complete" if check_listing(golden, place, raw) else "incomplete"] += 1
        tally.outcomes["read"] -= 1


def check_error(golden: Golden, raw: Raw, error: CloudError) -> None:
    """The class fits the kind of request; "not executed" is said only when the answer says so."""
    allowed = OF_A_WRITE if golden.message.write else OF_A_READ
    if type(error) not in allowed and not (golden.message.write and isinstance(error, UnknownOutcomeError)):
        raise WrongVerdictError(f"{type(error).__name__} for a {'write' if golden.message.write else 'read'}")
    if error.retry_after is not None and not 0 <= error.retry_after <= 60:
        raise WrongVerdictError(f"a wait of {error.retry_after} s")
    if len(str(error)) > 900 or not str(error).isprintable():
        raise WrongVerdictError(f"an error text of {len(str(error))} characters, or with control characters")
    settled = golden.message.write and not isinstance(error, UnknownOutcomeError)
    if settled and not reading.failed(golden.product, golden.action, raw.body):
        raise WrongVerdictError(f"{type(error).__name__}, but the answer does not say that it failed")


def check_write(golden: Golden, raw: Raw, answer: Any) -> None:
    """Accepted only when the answer plainly says so, part by part where it has parts."""
    if not 200 <= raw.status < 300:
        raise WrongVerdictError(f"accepted under HTTP {raw.status}")
    wire = golden.message.wire()
    if not hasattr(answer.value, "outcomes"):
        if not reading.worked(golden.product, golden.action, wire, raw.body):
            raise WrongVerdictError("accepted, but the answer does not say so")
        return
    said = reading.payload(golden.product, raw.body)
    outcomes = answer.value.outcomes(golden.message.Resources)
    if [(o.resource_type, o.resource_uri) for o in outcomes] != [tuple(r.values()) for r in wire["Resources"]]:
        raise WrongVerdictError("outcomes of other resources")
    for outcome, resource in zip(outcomes, wire["Resources"], strict=True):
        if outcome.said is Said.UNKNOWN or (outcome.said is Said.ACCEPTED) is not reading.said(said, resource):
            raise WrongVerdictError(f"{outcome.said}, but the answer says {reading.said(said, resource)}")
    if all(o.said is Said.ACCEPTED for o in outcomes) and not reading.worked(
        golden.product, golden.action, wire, raw.body
    ):
        raise WrongVerdictError("all accepted, but the answer does not say so")


def check_read(golden: Golden, raw: Raw, answer: Any) -> None:
    """What is handed up stands in the bytes, all of it and nothing else."""
    if not 200 <= raw.status < 300:
        raise WrongVerdictError(f"read under HTTP {raw.status}")
    try:
        said = reading.payload(golden.product, raw.body)
        if not reading.same(plain(answer.value), said):
            raise WrongVerdictError("the value is not what stands in the answer")
    except reading.UnclearReadingError as why:
        raise WrongVerdictError(f"read, but the answer is unclear: {why}") from None
    if missing := reading.unsaid(golden.action, said):
        raise WrongVerdictError(f"read although {missing} is not in the answer")


def plain(model: Any) -> Any:
    """A model as plain values; secrets as what they hide."""
    from pydantic import BaseModel, SecretStr

    if isinstance(model, BaseModel):
        return {name: plain(getattr(model, name)) for name in type(model).model_fields}
    if isinstance(model, tuple | list):
        return [plain(item) for item in model]
    return model.get_secret_value() if isinstance(model, SecretStr) else model


def check_listing(golden: Golden, place: int, raw: Raw) -> bool:
    """Collect the listing with the broken page in it; a complete one is what all pages say, and not one row less."""
    assert isinstance(golden.message, ListRequest)
    pages = _Pages(golden, place, raw)
    try:
        listing = finish(collect(pages, golden.message, bounds=Bounds(page_size=PAGE_SIZE, pages=20)))
    except (ListingIncompleteError, CloudError):
        return False
    except Exception as error:
        raise WrongVerdictError(f"collect raised {type(error).__name__}: {error}") from error
    product, action = golden.product, golden.action
    try:
        shown = [row for body in pages.read_bodies for row in reading.rows(product, action, body)]
        totals = {reading.declared(product, action, body) for body in pages.read_bodies}
    except reading.UnclearReadingError as why:
        raise WrongVerdictError(f"complete, but a page is unclear: {why}") from None
    if len(totals) != 1:
        raise WrongVerdictError(f"complete with the totals {totals}")
    if totals != {None} and totals != {len(listing.rows)}:
        raise WrongVerdictError(f"complete with {len(listing.rows)} rows of {totals}")
    handed = [plain(row) for row in listing.rows]
    if not all(any(reading.same(row, each) for each in shown) for row in handed):
        raise WrongVerdictError("a row that no page shows")
    if not all(any(reading.same(row, each) for row in handed) for each in shown):
        raise WrongVerdictError("a row of a page is missing")
    return True


def finish(work: Coroutine[Any, Any, Listing[Any]]) -> Listing[Any]:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("the listing waits for something")
