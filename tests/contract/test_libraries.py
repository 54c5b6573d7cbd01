"""The vendors' libraries against the emulator: every action, every field of every answer."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import Server
from emulator.gateway.gateway import all_actions
from tests.contract.conftest import MakeLibrary, vendor_of
from tests.contract.libraries import AlibabaLibrary
from tests.contract.picks import READS
from tests.contract.tables import problems, tables
from tests.contract.trips import TRIPS, library_actions

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")


def _names(pairs: Any) -> list[str]:
    return [f"{product}-{action}" for product, action in pairs]


def test_every_action_of_the_emulator_is_made_by_a_library() -> None:
    assert library_actions() == set(all_actions())


@pytest.mark.parametrize(("product", "action"), sorted(READS), ids=_names(sorted(READS)))
def test_a_library_reads_what_the_emulator_says(
    product: str, action: str, emulator: Server, libraries: MakeLibrary
) -> None:
    """The answer arrives, holds something, and no field of it is unknown to the library's models."""
    library = libraries(product)
    answer = library.call(action, **READS[product, action](emulator.app.world))
    entry = emulator.app.world.journal.after(0, kind="request")[-1]
    assert (entry["action"], entry["code"], entry["executed"]) == (action, "", True)
    assert answer["RequestId"] == entry["request_id"]
    payload = {name: value for name, value in answer.items() if name not in ("RequestId", "Success")}
    assert any(value not in (None, [], {}, "") for value in payload.values()), answer
    sent = library.raw if isinstance(library, AlibabaLibrary) else answer
    if isinstance(library, AlibabaLibrary):
        assert _kept(sent, answer) == sent
    found = list(problems(tables()[product, action].response, _without_nulls(sent, product), nulls=True))
    assert found == []


@pytest.mark.parametrize("name", sorted(TRIPS))
def test_a_library_writes_and_reads_back(name: str, emulator: Server, libraries: MakeLibrary) -> None:
    """Grant, see it, take it away, see it gone: through the library alone."""
    made = TRIPS[name]
    library = libraries(made.product)
    made.trip(library, emulator.app.world)
    assert library.called == set(made.actions)
    executed = {entry["action"] for entry in emulator.app.world.journal.after(0, kind="request") if entry["executed"]}
    assert executed == set(made.actions)


@pytest.mark.parametrize("product", ["dms", "quickbi", "alibaba-sts"])
def test_the_older_signature_of_the_library_is_taken_too(product: str, emulator: Server) -> None:
    """``signature_algorithm="v2"``: HMAC-SHA1, with the parameters, key id and signature in the query."""
    from tests.contract.conftest import KEYS

    library = AlibabaLibrary(product, emulator.url, *KEYS["alibaba"], algorithm="v2")
    try:
        for (owner, action), pick in READS.items():
            if owner == product:
                library.call(action, **pick(emulator.app.world))
        for made in TRIPS.values():
            if made.product == product:
                made.trip(library, emulator.app.world)
                emulator.app.reset()
    finally:
        library.close()


def _without_nulls(answer: dict[str, Any], product: str) -> dict[str, Any]:
    """Tencent's models fill in null for what was not sent; that says nothing about the emulator."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(inner) for name, inner in value.items() if inner is not None}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return dict(strip(answer)) if vendor_of(product) == "tencent" else answer


def _kept(sent: Any, read: Any) -> Any:
    """What the library's models kept of an answer; equal to it when they know every field."""
    if isinstance(sent, dict) and isinstance(read, dict):
        return {name: _kept(value, read.get(name)) for name, value in sent.items() if name in read or value is None}
    if isinstance(sent, list) and isinstance(read, list):
        return [_kept(one, other) for one, other in zip(sent, read, strict=True)]
    return read
