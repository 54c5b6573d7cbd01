"""Our requests beside the vendors' libraries' requests for the same input, and the signatures of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from emulator.signing import alibaba as emulated_acs
from emulator.signing import tencent as emulated_tc3
from rescind.cloud.base import Request
from rescind.cloud.clients import client_class
from rescind.cloud.credentials import Credentials
from rescind.cloud.signing import acs3_authorization, tc3_authorization
from rescind.errors import CloudError
from tests.contract.conftest import vendor_of
from tests.contract.libraries import AlibabaLibrary, Library, library
from tests.contract.messages import AWKWARD, calm, client_settings, library_input, made, messages, product_of
from tests.contract.tables import kind_of, tables
from tests.support.ledger.pacing import FreePacer

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")

KEY_ID, SECRET = "contractkey0001", "contract-secret-0001"
NOW = 1_795_000_123
STAMP = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
NONCE = "0123456789abcdef0123456789abcdef"
EXAMPLES = 14
HOSTS = {
    "wedata": "wedata.intl.tencentcloudapi.com",
    "tencent-sts": "sts.intl.tencentcloudapi.com",
    "dms": "dms-enterprise.aliyuncs.com",
    "quickbi": "quickbi-public.cn-hangzhou.aliyuncs.com",
    "alibaba-sts": "sts.aliyuncs.com",
}
Compare = Callable[[str, httpx.Request, requests.PreparedRequest], None]


@pytest.fixture(scope="module")
def libraries() -> Iterator[dict[str, Library]]:
    made = {product: library(product, f"https://{host}", KEY_ID, SECRET) for product, host in HOSTS.items()}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """Both libraries with a fixed time and nonce, and in place of the network a list of what they would send."""
    sent: list[requests.PreparedRequest] = []

    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(request)
        answer = requests.Response()
        answer.status_code = 200
        answer.headers["Content-Type"] = "application/json"
        answer._content = b'{"Response":{"RequestId":"r"},"RequestId":"r"}'
        answer.raw = SimpleNamespace(version=11)
        return answer

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.setattr("tencentcloud.common.abstract_client.time", SimpleNamespace(time=lambda: NOW + 0.4))
    monkeypatch.setattr("alibabacloud_tea_openapi.utils.Utils.get_timestamp", staticmethod(lambda: STAMP))
    monkeypatch.setattr("alibabacloud_tea_openapi.utils.Utils.get_nonce", staticmethod(lambda: NONCE))
    return sent


def ours(message: Request[Any], **fields: Any) -> httpx.Request:
    """The request as our client hands it to the network: signed at the same time with the same nonce."""
    caught: list[httpx.Request] = []

    def network(request: httpx.Request) -> httpx.Response:
        caught.append(request)
        raise httpx.ConnectError("no network here")

    async def send() -> None:
        chosen = client_settings(product_of(type(message)), KEY_ID, SECRET, **fields)
        client = client_class(chosen)(
            chosen,
            pacer=FreePacer(),
            transport=httpx.MockTransport(network),
            clock=lambda: NOW + 0.9,
            nonce=lambda: NONCE,
        )
        async with client:
            with pytest.raises(CloudError):
                await client.dispatch(client.prepare(message))

    asyncio.run(send())
    (request,) = caught
    return request


def theirs(client: Library, message: Request[Any], sent: list[requests.PreparedRequest]) -> requests.PreparedRequest:
    sent.clear()
    client.call(message.action, **library_input(message))
    (request,) = sent
    return request


@pytest.mark.parametrize("kind", list(messages().values()), ids=lambda kind: f"{product_of(kind)}-{kind.action}")
def test_the_same_request_with_the_same_signature(
    kind: type[Request[Any]], libraries: dict[str, Library], frozen: list[requests.PreparedRequest]
) -> None:
    """Method, host, path, headers that matter and parameters agree; each side's signing code confirms the other's."""
    product = product_of(kind)
    compare: Compare = tencent_requests if vendor_of(product) == "tencent" else alibaba_requests

    @calm(EXAMPLES)
    @given(made(kind))
    def agree(message: Request[Any]) -> None:
        compare(product, ours(message), theirs(libraries[product], message, frozen))

    agree()


@pytest.mark.parametrize("product", list(HOSTS))
def test_a_session_token_travels_alike(product: str, frozen: list[requests.PreparedRequest]) -> None:
    """Tencent sends it unsigned, Alibaba signed; the library's key id header beside it is not needed."""
    reads = {"wedata": "ListProjects", "dms": "ListInstances", "quickbi": "QueryUserList"}
    kind = messages()[product, reads.get(product, "GetCallerIdentity")]
    client = library(product, f"https://{HOSTS[product]}", KEY_ID, SECRET, "token/+==")
    lib = theirs(client, kind(), frozen)
    mine = ours(kind(), session_token="token/+==")
    header = "x-tc-token" if vendor_of(product) == "tencent" else "x-acs-security-token"
    assert mine.headers[header] == lib.headers[header] == "token/+=="
    assert (header in mine.headers["authorization"]) is (vendor_of(product) == "alibaba")
    if vendor_of(product) == "tencent":
        tencent_signatures(product, mine, lib)
    else:
        alibaba_signatures(mine, lib)
    client.close()


@pytest.mark.parametrize("action", ["AssumeRole", "GetCallerIdentity"])
def test_the_older_signature_of_the_token_service(action: str, frozen: list[requests.PreparedRequest]) -> None:
    """HMAC-SHA1 covers query and form alike: the same parameters give the library's signature wherever they stand."""
    client = AlibabaLibrary("alibaba-sts", f"https://{HOSTS['alibaba-sts']}", KEY_ID, SECRET, algorithm="v2")

    @calm(EXAMPLES)
    @given(made(messages()["alibaba-sts", action]))
    def agree(message: Request[Any]) -> None:
        mine, lib = ours(message, sts_signature="rpc"), theirs(client, message, frozen)
        assert everything(mine.url.query, mine.content) == everything(urlsplit(lib.url).query, lib.body)
        assert {name for name, _ in parse_qsl(mine.url.query.decode())} == {"Action", "Version"}

    agree()
    client.close()


def everything(query: str | bytes, form: str | bytes | None) -> dict[str, str]:
    """Parameters of query and form together."""
    parts = [part.decode() if isinstance(part, bytes) else part or "" for part in (query, form)]
    return {name: value for part in parts for name, value in parse_qsl(part, keep_blank_values=True)}


# --- Tencent ------------------------------------------------------------------------------------------


def tencent_requests(product: str, mine: httpx.Request, lib: requests.PreparedRequest) -> None:
    assert (
        (mine.method, mine.url.path, mine.url.query) == (lib.method, urlsplit(lib.url).path, b"") == ("POST", "/", b"")
    )
    for name in ("host", "x-tc-action", "x-tc-version", "x-tc-timestamp"):
        assert mine.headers[name] == lib.headers[name], name
    assert mine.headers["host"] == HOSTS[product]
    assert mine.headers["x-tc-language"] == "en-US"
    assert mine.headers["x-tc-region"] == lib.headers["x-tc-region"] == "ap-singapore"
    # The library leaves the charset out; what is sent is what is signed on both sides.
    assert mine.headers["content-type"] == f"{lib.headers['content-type']}; charset=utf-8"
    assert exactly(json.loads(mine.content)) == exactly(json.loads(lib.body))
    if lib.headers["authorization"] == "SKIP":  # an identity token is exchanged without a signature
        assert mine.headers["authorization"] == "SKIP"
    else:
        tencent_signatures(product, mine, lib)


def exactly(value: Any) -> str:
    """JSON in which 1, true and "1" differ."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def tencent_signatures(product: str, mine: httpx.Request, lib: requests.PreparedRequest) -> None:
    from tencentcloud.common.sign import Sign

    service = "sts" if product == "tencent-sts" else "wedata"
    key = Credentials(KEY_ID, SECRET)
    signed = [(name, lib.headers[name]) for name in ("content-type", "host")]
    body = lib.body if isinstance(lib.body, bytes) else lib.body.encode()
    again = tc3_authorization(key, service=service, timestamp=NOW, headers=signed, body=body)
    assert again == lib.headers["authorization"]  # ours over the library's bytes and header set
    header = emulated_tc3.parse_authorization(mine.headers["authorization"])
    assert header is not None
    assert header.signed_headers == ("content-type", "host", "x-tc-action")
    canonical = emulated_tc3.canonical_request(
        "POST", "/", "", mine.headers, header.signed_headers, emulated_tc3.payload_hash(mine.headers, mine.content)
    )
    text = emulated_tc3.string_to_sign(NOW, header.date, service, canonical)
    assert Sign.sign_tc3(SECRET, header.date, service, text) == header.signature  # the library's keys over our request
    assert emulated_tc3.signature(SECRET, NOW, header.date, service, canonical) == header.signature
    assert (
        library_tc3(service, mine)
        == tc3_authorization(
            key,
            service=service,
            timestamp=NOW,
            headers=[(name, mine.headers[name]) for name in ("content-type", "host")],
            body=mine.content,
        ).rpartition("Signature=")[2]
    )


def library_tc3(service: str, mine: httpx.Request) -> str:
    """The library's own canonical request and signature over our bytes, content type and host."""
    from tencentcloud.common.abstract_client import AbstractClient
    from tencentcloud.common.http.request import RequestInternal

    request = RequestInternal(mine.headers["host"], "POST", "/", data=mine.content)
    request.header = {
        "Content-Type": mine.headers["content-type"],
        "Host": mine.headers["host"],
        "X-TC-Timestamp": mine.headers["x-tc-timestamp"],
    }
    date = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%d")
    return str(AbstractClient._get_tc3_signature(None, None, request, date, service, SECRET))


# --- Alibaba ------------------------------------------------------------------------------------------


def alibaba_requests(product: str, mine: httpx.Request, lib: requests.PreparedRequest) -> None:
    there = urlsplit(lib.url)
    if "authorization" not in lib.headers:
        unsigned_requests(mine, lib)
        return
    assert (mine.method, mine.url.path, mine.content) == (lib.method, there.path, lib.body or b"")
    for name in ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "accept"):
        assert mine.headers[name] == lib.headers[name], name
    assert mine.headers["host"] == HOSTS[product]
    assert mine.headers["x-acs-content-sha256"] == lib.headers["x-acs-content-sha256"]
    assert "content-type" not in mine.headers
    query = mine.url.query.decode("ascii")
    given = dict(parse_qsl(there.query, keep_blank_values=True))
    assert dict(parse_qsl(query, keep_blank_values=True)) == normal(product, lib.headers["x-acs-action"], given)
    alibaba_signatures(mine, lib)


def unsigned_requests(mine: httpx.Request, lib: requests.PreparedRequest) -> None:
    """An identity token is exchanged without a signature. The library has the token in the address, we do not."""
    assert (mine.method, mine.url.path, mine.headers["host"]) == ("POST", "/", lib.headers["host"])
    assert "authorization" not in mine.headers
    theirs = everything(urlsplit(lib.url).query, lib.body)
    assert everything(mine.url.query, mine.content) == {n: v for n, v in theirs.items() if n != "SignatureNonce"}
    assert {name for name, _ in parse_qsl(mine.url.query.decode())} == {"Action", "Version"}
    assert mine.headers["content-type"] == "application/x-www-form-urlencoded"


def normal(product: str, action: str, query: dict[str, str]) -> dict[str, str]:
    """The library writes booleans as Python does (``Logic=False``); the documents say ``false``."""
    kinds = tables()[product, action].request
    return {name: value.lower() if kind_of(kinds[name]) == "boolean" else value for name, value in query.items()}


def alibaba_signatures(mine: httpx.Request, lib: requests.PreparedRequest) -> None:
    key = Credentials(KEY_ID, SECRET)
    theirs = emulated_acs.parse_authorization(lib.headers["authorization"])
    assert theirs is not None
    signed = {name: lib.headers[name] for name in theirs.signed_headers}
    query = urlsplit(lib.url).query
    canonical = emulated_acs.canonical_query(emulated_acs.parse_query(query))
    again = acs3_authorization(
        key, method=lib.method, query=canonical, headers=signed, body_hash=signed["x-acs-content-sha256"]
    )
    assert again == lib.headers["authorization"]  # ours over the library's request and header set
    header = emulated_acs.parse_authorization(mine.headers["authorization"])
    assert header is not None
    assert set(header.signed_headers) >= emulated_acs.must_be_signed(mine.headers, mine.content)
    assert library_acs3(mine, header.signed_headers) == mine.headers["authorization"]  # the library's over ours
    text = emulated_acs.canonical_request(
        mine.method,
        "/",
        emulated_acs.parse_query(mine.url.query.decode("ascii")),
        mine.headers,
        header.signed_headers,
        mine.headers["x-acs-content-sha256"],
    )
    assert emulated_acs.signature(SECRET, text) == header.signature


def library_acs3(mine: httpx.Request, names: tuple[str, ...]) -> str:
    """What the library's signing function says about our request with our header set."""
    from alibabacloud_tea_openapi.utils import Utils

    request = SimpleNamespace(
        method=mine.method,
        pathname="/",
        query=dict(parse_qsl(mine.url.query.decode("ascii"), keep_blank_values=True)),
        headers={name: mine.headers[name] for name in names},
    )
    found = Utils.get_authorization(request, "ACS3-HMAC-SHA256", mine.headers["x-acs-content-sha256"], KEY_ID, SECRET)
    return str(found)


# --- any parameters, any body -------------------------------------------------------------------------

NAMES = st.text("ABCDEFabcdef.0123", min_size=1, max_size=12)
VALUES = st.text(st.sampled_from(AWKWARD + "aZ09") | st.characters(exclude_categories=("Cs",)), max_size=40)


@calm(150)
@given(
    method=st.sampled_from(["GET", "POST"]),
    query=st.dictionaries(NAMES, VALUES | st.lists(NAMES, max_size=150).map(",".join), max_size=6),
    token=st.none() | st.text("abcXYZ/+=", min_size=1, max_size=40),
)
def test_any_query_is_signed_alike_by_both_and_read_alike_by_the_emulator(
    method: str, query: dict[str, str], token: str | None
) -> None:
    from alibabacloud_tea_openapi.utils import Utils

    from rescind.cloud.alibaba import canonical_query
    from rescind.cloud.signing import rpc_signature

    headers = {"host": "h.example", "x-acs-action": "A", "x-acs-version": "1", "x-acs-date": STAMP}
    headers |= {"x-acs-security-token": token} if token else {}
    empty = emulated_acs.hashlib.sha256(b"").hexdigest()
    request = SimpleNamespace(method=method, pathname="/", query=query, headers=headers)
    made = acs3_authorization(
        Credentials(KEY_ID, SECRET), method=method, query=canonical_query(query), headers=headers, body_hash=empty
    )
    assert made == Utils.get_authorization(request, "ACS3-HMAC-SHA256", empty, KEY_ID, SECRET)
    assert dict(emulated_acs.parse_query(canonical_query(query))) == query
    assert rpc_signature(SECRET, method, query) == Utils.get_rpcsignature(query, method, SECRET)
    text = emulated_acs.v1_string_to_sign(method, query.items())
    assert emulated_acs.v1_signature(SECRET, text) == rpc_signature(SECRET, method, query)


@calm(150)
@given(
    body=st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=20) | st.integers(), max_size=5),
    at=st.integers(1, 4_000_000_000),
    service=st.sampled_from(["wedata", "sts"]),
)
def test_any_body_is_signed_alike_by_both(body: dict[str, Any], at: int, service: str) -> None:
    from tencentcloud.common.abstract_client import AbstractClient
    from tencentcloud.common.http.request import RequestInternal

    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"content-type": "application/json; charset=utf-8", "host": "h.example"}
    request = RequestInternal("h.example", "POST", "/", data=content)
    request.header = {"Content-Type": headers["content-type"], "Host": "h.example", "X-TC-Timestamp": str(at)}
    date = emulated_tc3.date_of(at)
    theirs = AbstractClient._get_tc3_signature(None, None, request, date, service, SECRET)
    made = tc3_authorization(
        Credentials(KEY_ID, SECRET), service=service, timestamp=at, headers=list(headers.items()), body=content
    )
    assert made.endswith(f"/{date}/{service}/tc3_request, SignedHeaders=content-type;host, Signature={theirs}")
    canonical = emulated_tc3.canonical_request(
        "POST", "/", "", headers, ("content-type", "host"), emulated_tc3.payload_hash({}, content)
    )
    assert emulated_tc3.signature(SECRET, at, date, service, canonical) == theirs


def test_no_message_may_be_sent_faster_than_its_vendor_documents() -> None:
    """Every rate by product; a new message has the rate of its product unless it names its own with a source."""
    documented = {"wedata": {20.0}, "dms": {5.0}, "tencent-sts": {5.0}, "alibaba-sts": {5.0}}
    for (product, action), kind in messages().items():
        allowed = {50.0 if kind.write else 30.0} if product == "quickbi" else documented[product]
        assert kind.rate in allowed, (product, action, kind.rate)
