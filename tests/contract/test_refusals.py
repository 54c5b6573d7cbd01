"""The libraries get the vendors' own errors from the emulator: keys, clocks, nonces, tokens, rates, rights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from emulator.app import Server
from tests.contract.conftest import KEYS, MakeLibrary, vendor_of
from tests.contract.libraries import AlibabaLibrary, Library, LibraryRefusalError
from tests.contract.picks import READS

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")

CHEAP = {
    "wedata": "ListTenantRoles",
    "tencent-sts": "GetCallerIdentity",
    "dms": "GetUserActiveTenant",
    "quickbi": "QueryUserGroupListByParentId",
    "alibaba-sts": "GetCallerIdentity",
}
TENCENT = [product for product in CHEAP if vendor_of(product) == "tencent"]
ALIBABA = [product for product in CHEAP if vendor_of(product) == "alibaba"]


def ask(library: Library, server: Server) -> object:
    """One harmless read."""
    action = CHEAP[library.product]
    return library.call(action, **READS[library.product, action](server.app.world))


def refusal(library: Library, server: Server) -> LibraryRefusalError:
    with pytest.raises(LibraryRefusalError) as caught:
        ask(library, server)
    return caught.value


@contextmanager
def old_library(product: str, server: Server, key: tuple[str, str] = KEYS["alibaba"]) -> Iterator[AlibabaLibrary]:
    """The library with its older signature."""
    library = AlibabaLibrary(product, server.url, *key, algorithm="v2")
    try:
        yield library
    finally:
        library.close()


@pytest.mark.parametrize("product", list(CHEAP))
def test_a_wrong_key_or_secret(product: str, emulator: Server, libraries: MakeLibrary) -> None:
    key_id, secret = KEYS[vendor_of(product)]
    unknown, wrong = {
        "tencent": ("AuthFailure.SecretIdNotFound", "AuthFailure.SignatureFailure"),
        "alibaba": ("InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch"),
    }[vendor_of(product)]
    other = KEYS["alibaba" if vendor_of(product) == "tencent" else "tencent"]
    for name in (f"{key_id}X", other[0]):  # the other vendor's key is unknown too
        assert refusal(libraries(product, (name, secret)), emulator).code == unknown
    assert refusal(libraries(product, (key_id, f"{secret}X")), emulator).code == wrong
    ask(libraries(product), emulator)


@pytest.mark.parametrize("product", ALIBABA)
def test_a_wrong_key_or_secret_under_the_older_signature(product: str, emulator: Server) -> None:
    key_id, secret = KEYS["alibaba"]
    for key, code in (
        ((f"{key_id}X", secret), "InvalidAccessKeyId.NotFound"),
        ((key_id, "no"), "SignatureDoesNotMatch"),
    ):
        with old_library(product, emulator, key) as library:
            assert refusal(library, emulator).code == code


@pytest.mark.parametrize(("off_by", "accepted"), [(-290, True), (290, True), (-320, False), (320, False)])
@pytest.mark.parametrize("product", TENCENT)
def test_tencents_time_window(
    product: str,
    off_by: int,
    accepted: bool,
    emulator: Server,
    libraries: MakeLibrary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five minutes either way."""
    library = libraries(product)
    shifted = SimpleNamespace(time=lambda: time.time() + off_by)
    monkeypatch.setattr("tencentcloud.common.abstract_client.time", shifted)
    if accepted:
        ask(library, emulator)
    else:
        assert refusal(library, emulator).code == "AuthFailure.SignatureExpire"


@pytest.mark.parametrize(
    ("off_by", "code"), [(-880, ""), (880, ""), (-920, "InvalidTimeStamp.Expired"), (920, "InvalidTimeStamp.Expired")]
)
@pytest.mark.parametrize("product", ALIBABA)
def test_alibabas_time_window(
    product: str, off_by: int, code: str, emulator: Server, libraries: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen minutes either way, under both signatures."""

    def stamp() -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + off_by))

    monkeypatch.setattr("alibabacloud_tea_openapi.utils.Utils.get_timestamp", staticmethod(stamp))
    with old_library(product, emulator) as older:
        for library in (libraries(product), older):
            if code:
                found = refusal(library, emulator)
                assert (found.code, found.status) == (code, 400)
            else:
                ask(library, emulator)


@pytest.mark.parametrize("product", ALIBABA)
def test_a_nonce_may_be_used_once(
    product: str, emulator: Server, libraries: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the second use is signed in the other way: the nonce belongs to the key."""
    library = libraries(product)
    monkeypatch.setattr("alibabacloud_tea_openapi.utils.Utils.get_nonce", staticmethod(lambda: "once"))
    ask(library, emulator)
    assert refusal(library, emulator).code == "SignatureNonceUsed"
    with old_library(product, emulator) as older:
        assert refusal(older, emulator).code == "SignatureNonceUsed"
    monkeypatch.setattr("alibabacloud_tea_openapi.utils.Utils.get_nonce", staticmethod(lambda: "twice"))
    ask(library, emulator)


def test_tencent_has_no_nonce_a_replay_is_carried_out(
    emulator: Server, libraries: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tencentcloud.common.abstract_client.time", SimpleNamespace(time=lambda: float(int(now))))
    now, library = time.time(), libraries("wedata")
    for _ in range(2):
        ask(library, emulator)
    assert [entry["resent"] for entry in emulator.app.world.journal.after(0, kind="request")] == [False, True]


def test_tencent_sessions(emulator: Server, libraries: MakeLibrary) -> None:
    """Temporary keys need their token, and end."""
    given = libraries("tencent-sts").call("AssumeRole", **READS["tencent-sts", "AssumeRole"](emulator.app.world))
    key = (given["Credentials"]["TmpSecretId"], given["Credentials"]["TmpSecretKey"])
    session = libraries("wedata", key, given["Credentials"]["Token"])
    ask(session, emulator)
    assert refusal(libraries("wedata", key), emulator).code == "AuthFailure.TokenFailure"
    emulator.app.world.keys.expire_sessions(emulator.app.world.clock.now())
    assert refusal(session, emulator).code == "AuthFailure.TokenFailure"


@pytest.mark.parametrize("product", ["dms", "quickbi"])
def test_alibaba_sessions(product: str, emulator: Server, libraries: MakeLibrary) -> None:
    """Temporary keys need their token, and end. The library signs the token and sends the key id beside it."""
    given = libraries("alibaba-sts").call("AssumeRole", **READS["alibaba-sts", "AssumeRole"](emulator.app.world))
    found = given["Credentials"]
    key = (found["AccessKeyId"], found["AccessKeySecret"])
    session = libraries(product, key, found["SecurityToken"])
    ask(session, emulator)
    assert refusal(libraries(product, key), emulator).code == "MissingSecurityToken"
    wrong = libraries(product, key, "another-token")
    assert refusal(wrong, emulator).code == "InvalidSecurityToken.Malformed"
    emulator.app.world.keys.expire_sessions(emulator.app.world.clock.now())
    assert refusal(session, emulator).code == "InvalidSecurityToken.Expired"


@pytest.mark.parametrize(
    ("product", "codes"),
    [
        ("wedata", {"RequestLimitExceeded"}),
        ("dms", {"Throttling.User"}),
        ("quickbi", {"Throttling.User"}),
    ],
)
def test_over_the_limit(product: str, codes: set[str], emulator: Server, libraries: MakeLibrary) -> None:
    emulator.app.limiter.limits[product] = 1.0
    library = libraries(product)
    ask(library, emulator)
    emulator.app.limiter.limits[product] = 0.5
    assert {refusal(library, emulator).code} == codes


def test_the_wait_that_alibaba_asks_for_reaches_the_library(emulator: Server, libraries: MakeLibrary) -> None:
    """``x-acs-retry-after`` in milliseconds makes the library raise its own kind of error."""
    from alibabacloud_tea_openapi.exceptions import ThrottlingException

    emulator.app.world.modes.set("alibaba_retry_after", "on")
    emulator.app.limiter.limits["dms"] = 0.5
    library = libraries("dms")
    with pytest.raises(LibraryRefusalError) as caught:
        ask(library, emulator)
    assert isinstance(caught.value.__context__, ThrottlingException)
    assert 0 < caught.value.__context__.retry_after <= 1000


@pytest.mark.parametrize(
    ("product", "code"),
    [("wedata", "UnauthorizedOperation"), ("dms", "Forbidden.RAM"), ("quickbi", "Access.Forbidden")],
)
def test_a_key_without_rights(product: str, code: str, emulator: Server, libraries: MakeLibrary) -> None:
    key_id, secret = KEYS[vendor_of(product)]
    assert refusal(libraries(product, (f"{key_id[:-1]}4", f"{secret[:-1]}4")), emulator).code == code


def test_a_refusal_inside_http_200_raises_nothing_in_the_library(emulator: Server, libraries: MakeLibrary) -> None:
    """Why the answers are judged by our own code: the library returns this as if it were a success."""
    record = next(iter(emulator.app.world.dms.records.values()))
    answer = libraries("dms").call(
        "RevokeUserPermission",
        UserId=record.user_id,
        DsType="DATABASE",
        DbId="1",
        Logic=False,
        PermTypes="QUERY",
        UserAccessId="999999999",
    )
    assert answer["Success"] is False
    assert answer["ErrorCode"]
