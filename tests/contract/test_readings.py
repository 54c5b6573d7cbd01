"""What our clients read from the emulator is what the vendors' libraries read from it, whatever the mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from emulator.app import Server
from emulator.keys import ALIBABA_ACCOUNT, TENCENT_ACCOUNT
from rescind.cloud.base import ListRequest, Page, Request
from rescind.cloud.client import CloudClient
from rescind.cloud.clients import client_class
from rescind.cloud.paging import Bounds, collect
from rescind.errors import ListingIncompleteError, RefusedError, UnknownOutcomeError
from tests.contract.conftest import KEYS, MakeLibrary, vendor_of
from tests.contract.libraries import Library
from tests.contract.messages import client_settings, library_input, messages
from tests.contract.picks import READS
from tests.support.ledger.pacing import FreePacer

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")

PAGE_SIZE = 10
READ_MESSAGES = sorted(pair for pair, kind in messages().items() if not kind.write)
MODES: list[dict[str, str]] = [
    {},
    {"wedata_rows": "grouped", "dms_instance_ds_type": "empty", "quickbi_spelling": "strings"},
    {"wedata_type_case": "upper", "dms_expired": "hidden", "quickbi_subgroups": "not_covered"},
    {"wedata_granted_flag": "true", "wedata_default_audience": "listed", "dms_logic_omitted": "physical"},
    {"wedata_member_uin": "null", "dms_success_noise": "on"},
]


def message_for(pair: tuple[str, str], server: Server) -> Request[Any]:
    """The message with the parameters that the library's call has."""
    kind = messages()[pair]
    params = READS[pair](server.app.world)
    given = {name: value for name, value in params.items() if not name.startswith("Page") and name in kind.model_fields}
    for name, value in given.items():
        given[name] = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        part = kind.model_fields[name].annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            given[name] = part(**value)
    if "DurationSeconds" in given:
        given["DurationSeconds"] = int(given["DurationSeconds"])
    return kind(**given)


def with_client(server: Server, product: str, work: Callable[[CloudClient], Any]) -> Any:
    """Run ``work`` with a client that talks to the emulator."""

    async def run() -> Any:
        chosen = client_settings(product, *KEYS[vendor_of(product)], base_url=server.url, allow_loopback_http=True)
        async with client_class(chosen)(chosen, pacer=FreePacer()) as client:
            return await work(client)

    return asyncio.run(run())


def library_pages(library: Library, message: Request[Any]) -> list[Any]:
    """The rows that the library brings, page by page until one is empty."""
    assert isinstance(message, ListRequest)
    rows: list[Any] = []
    number = 0
    while True:
        number += 1
        page = message.Answer.model_validate(library.call(message.action, **message.at_page(number, PAGE_SIZE).wire()))
        assert isinstance(page, Page)
        found = page.rows()
        assert found is not None
        rows += found
        if not found or not message.page_field:
            return rows


@pytest.mark.parametrize("modes", MODES, ids=lambda modes: next(iter(modes), "default"))
def test_our_listings_hold_the_rows_that_the_libraries_bring(
    modes: dict[str, str], emulator: Server, libraries: MakeLibrary
) -> None:
    """Every listing message: the same rows in the same order, none of them unreadable to us."""
    for name, value in modes.items():
        emulator.app.world.modes.set(name, value)
    read = 0
    for pair in READ_MESSAGES:
        message = message_for(pair, emulator)
        if isinstance(message, ListRequest):
            bounds = Bounds(page_size=PAGE_SIZE)
            listing = with_client(emulator, pair[0], lambda client, m=message, b=bounds: collect(client, m, bounds=b))
            expected = library_pages(libraries(pair[0]), message)
            assert list(listing.rows) == expected, pair
            assert listing.record.declared in (None, len(expected))
            read += bool(expected)
    assert read >= 33


@pytest.mark.parametrize("pair", READ_MESSAGES, ids=lambda pair: "-".join(pair))
def test_our_plain_reads_say_what_the_libraries_say(
    pair: tuple[str, str], emulator: Server, libraries: MakeLibrary
) -> None:
    message = message_for(pair, emulator)
    if isinstance(message, ListRequest):
        message = message.at_page(1, PAGE_SIZE)
    answer = with_client(emulator, pair[0], lambda client: client.read(message))
    again = libraries(pair[0]).call(message.action, **library_input(message))
    if message.action.startswith("AssumeRole"):  # new keys each time: only the shape can be compared
        assert type(answer.value).model_validate(again).Credentials != answer.value.Credentials
        return
    assert type(answer.value).model_validate(again) == answer.value
    assert answer.request_id != again["RequestId"]


def test_a_total_that_counts_pairs_is_taken_where_it_may_and_confirmed_by_a_second_reading(emulator: Server) -> None:
    """``TotalCount`` is read as the number of rows; the other unit counts only where the caller allows it."""
    emulator.app.world.modes.set("wedata_total", "grants")
    emulator.app.world.modes.set("wedata_rows", "grouped")
    message = message_for(("wedata", "ListPermissions"), emulator)
    with pytest.raises(ListingIncompleteError, match="rows declared"):
        with_client(emulator, "wedata", lambda client: collect(client, message))
    listing = with_client(emulator, "wedata", lambda client: collect(client, message, other_unit=True))
    record = listing.record
    assert (record.unit, record.pages, len(record.request_ids)) == ("other", 2, 2)
    assert record.declared == message.other_total(listing.rows) != record.counted


@pytest.mark.parametrize(("product", "account"), [("wedata", TENCENT_ACCOUNT), ("dms", ALIBABA_ACCOUNT)])
def test_who_we_are(product: str, account: str, emulator: Server, libraries: MakeLibrary) -> None:
    identity = with_client(emulator, product, lambda client: client.identify())
    said = libraries(f"{vendor_of(product)}-sts").call("GetCallerIdentity")
    assert (identity.account_id, identity.arn, identity.user_id) == (said["AccountId"], said["Arn"], said["UserId"])
    assert identity.account_id == account


@pytest.mark.parametrize("style", ["http", "body"])
def test_a_refused_write_is_refused_to_us_in_both_styles(style: str, emulator: Server) -> None:
    """HTTP 400 with a code, or HTTP 200 with ``Success: false``, which the library takes for a success."""
    emulator.app.world.modes.set("dms_error_style", style)
    emulator.app.world.modes.set("dms_absent_revoke", "refused" if style == "body" else "error")
    kind = messages()["dms", "RevokeUserPermission"]
    message = kind(UserId="1", DsType="DATABASE", DbId="1", Logic=False, PermTypes="QUERY", UserAccessId="999999999")

    async def write(client: CloudClient) -> Any:
        return await client.dispatch(client.prepare(message))

    # InvalidParameterValid is a refusal by its family.
    with pytest.raises(RefusedError):
        with_client(emulator, "dms", write)


def test_noise_beside_a_success_is_no_success_to_us(emulator: Server) -> None:
    """The vendor's own sample shows an error code beside ``Success: true``; we read back instead of believing it."""
    emulator.app.world.modes.set("dms_success_noise", "on")
    record = next(r for r in emulator.app.world.dms.records.values() if r.target.ds_type == "DATABASE")
    message = messages()["dms", "RevokeUserPermission"](
        UserId=record.user_id,
        DsType="DATABASE",
        DbId=str(record.target.db_id),
        Logic=False,
        PermTypes=record.perm,
        UserAccessId=str(record.access_id),
    )

    async def write(client: CloudClient) -> Any:
        return await client.dispatch(client.prepare(message))

    with pytest.raises(UnknownOutcomeError):
        with_client(emulator, "dms", write)
    assert record.access_id not in emulator.app.world.dms.records
