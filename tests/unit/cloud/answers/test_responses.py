"""Every way in which an answer can be wrong, for reads and for writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.cloud.answers.outcomes import Said, UnknownResultsError
from rescind.cloud.answers.responses import judge
from rescind.cloud.base import Answer, Request
from rescind.cloud.client import CloudClient
from rescind.cloud.dms.inventory import GetUserActiveTenant
from rescind.cloud.dms.permissions import ListAuthorizedUsersForInstance, RevokeUserPermission
from rescind.cloud.quickbi.menus import CancelAuthorizationMenu, ListPortalMenuAuthorization
from rescind.cloud.transport import Raw
from rescind.cloud.wedata.data_sources import DescribeDataSourceAuthority, FromProject, RevokeDataSourceAuthorization
from rescind.cloud.wedata.inventory import ListProjects
from rescind.cloud.wedata.privileges import Privilege, PrivilegeResource, RevokePrivileges, Subject
from rescind.errors import (
    CloudError,
    MalformedResponseError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)

REVOKE = RevokePrivileges(
    Resources=[PrivilegeResource(ResourceType="Catalog", ResourceUri=uri) for uri in ("a", "b")],
    Subjects=[Subject(SubjectType="User", SubjectValues=["1"])],
    Privileges=[Privilege(Name="A")],
)
SOURCE = RevokeDataSourceAuthorization(DataSourceId="1", target=FromProject(project_id="2", whole_project=True))
RECORD = RevokeUserPermission(UserId="5", DsType="DATABASE", DbId="1", Logic=False, PermTypes="QUERY", UserAccessId="7")
CANCEL = CancelAuthorizationMenu(DataPortalId="p", MenuIds=["a", "b"], UserIds=["1"])
TENANT = GetUserActiveTenant()

Client = Callable[..., CloudClient]


_SPEAKERS: dict[str, CloudClient] = {}


def ask(client: Client, request: Request[Any], response: httpx.Response) -> Answer[Any]:
    """Judge one answer as the client does, without a network."""
    if request.service not in _SPEAKERS:
        _SPEAKERS[request.service] = client(lambda _: httpx.Response(500), request.service)
    now = datetime.now(UTC)
    raw = Raw(response.status_code, dict(response.headers), response.content, now, now)
    judged = judge(_SPEAKERS[request.service].prepare(request), raw, repeated=lambda _: False)
    if judged.error is not None:
        raise judged.error
    assert judged.answer is not None
    return judged.answer


def fails(client: Client, request: Request[Any], response: httpx.Response, kind: type[CloudError]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        ask(client, request, response)
    assert type(caught.value) is kind or (kind is UnknownOutcomeError and isinstance(caught.value, UnknownOutcomeError))
    return caught.value


def body(value: Any, status: int = 200, **headers: str) -> httpx.Response:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return httpx.Response(status, content=content, headers=headers)


def tencent_error(code: str, status: int = 200, **more: Any) -> httpx.Response:
    return body({"Response": {"Error": {"Code": code, "Message": "words"}, "RequestId": "r", **more}}, status)


def gateway(code: str, status: int = 400, **headers: str) -> httpx.Response:
    return body({"Code": code, "Message": "words", "RequestId": "r", "HostId": "h"}, status, **headers)


# --- good answers -------------------------------------------------------------------------------------


def test_good_answers(client: Client) -> None:
    data = {"OverallSuccess": True, "Results": [{"Resource": {"ResourceType": "CATALOG", "ResourceUri": u}, "Result": True, "Reason": ""} for u in "ba"]}  # fmt: skip  # noqa: E501
    answer = ask(client, REVOKE, body({"Response": {"Data": data, "RequestId": "r1"}}))
    assert {outcome.said for outcome in answer.value.outcomes(REVOKE.Resources)} == {Said.ACCEPTED}
    assert (answer.request_id, answer.http_status) == ("r1", 200)
    assert answer.sent_at <= answer.answered_at
    assert answer.sent_at.utcoffset() is not None
    assert ask(client, SOURCE, body({"Response": {"Data": {"Status": True}, "RequestId": "r"}})).value.Status is True
    assert ask(client, RECORD, body({"Success": True, "RequestId": "r"})).request_id == "r"
    assert ask(client, RECORD, body({"Success": "true", "RequestId": "r", "ErrorCode": ""})).request_id == "r"
    assert ask(client, CANCEL, body({"Success": "true", "Result": "2", "RequestId": "r"})).value.Result == 2
    assert ask(client, TENANT, body({"Success": True, "Tenant": {"Tid": 3001}})).value.Tenant.Tid == "3001"


@pytest.mark.parametrize(
    "kind", ["text/html", "application/json; charset=utf-8", "text/plain", "application/octet-stream"]
)
def test_content_type_decides_nothing(client: Client, kind: str) -> None:
    good = body({"Response": {"Data": {"Status": True}, "RequestId": "r"}}, **{"content-type": kind})
    assert ask(client, SOURCE, good).value.Status
    bad = body(
        {"Response": {"Error": {"Code": "InvalidParameter", "Message": "m"}, "RequestId": "r"}},
        **{"content-type": kind},
    )
    fails(client, SOURCE, bad, RefusedError)


# --- codes, for reads and writes ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    ("code", "read", "write"),
    [
        ("RequestLimitExceeded", ThrottledError, ThrottledError),
        ("InvalidParameter", RefusedError, RefusedError),
        ("InternalError.InvalidParameter", RefusedError, RefusedError),
        ("ResourceNotFound", NotFoundError, NotFoundError),
        ("UnauthorizedOperation.UserNotInProject", UnauthorizedError, UnauthorizedError),
        ("AuthFailure.SignatureFailure", UnauthorizedError, UnauthorizedError),
        ("InternalError", TransientError, UnknownOutcomeError),
        ("FailedOperation", TransientError, UnknownOutcomeError),
        ("InvalidParameter.ServiceIsBusy", TransientError, UnknownOutcomeError),
    ],
)
def test_tencent_codes_decide_not_the_status(
    client: Client, code: str, read: type[CloudError], write: type[CloudError], status: int
) -> None:
    read = ThrottledError if status == 429 else read
    assert fails(client, ListProjects(), tencent_error(code, status), read).code == code
    error = fails(client, SOURCE, tencent_error(code, status), write)
    assert (error.code, error.request_id, error.http_status, error.action) == (code, "r", status, SOURCE.action)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    ("code", "read", "write"),
    [
        ("Throttling.User", ThrottledError, ThrottledError),
        ("Rejected.Throttling", ThrottledError, ThrottledError),
        ("Invalid.Parameter.Error", RefusedError, RefusedError),
        ("FolderMenu.CanNot.Authorize", RefusedError, RefusedError),
        ("User.NotBelongTo.CurrentOrganization", NotFoundError, NotFoundError),
        ("Access.Forbidden", UnauthorizedError, UnauthorizedError),
        ("Internal.System.Error", TransientError, UnknownOutcomeError),
        ("ServiceUnavailable", TransientError, UnknownOutcomeError),
        ("SignatureNonceUsed", TransientError, UnknownOutcomeError),
    ],
)
def test_alibaba_codes_decide_not_the_status(
    client: Client, code: str, read: type[CloudError], write: type[CloudError], status: int
) -> None:
    listing = ListPortalMenuAuthorization(DataPortalId="p")
    read = ThrottledError if status == 429 else read
    for shape in (
        gateway(code, status),
        body({"Success": False, "ErrorCode": code, "RequestId": "r"}, status),
        body({"Success": "false", "Code": code, "RequestId": "r"}, status),
        body({"code": code, "message": "words", "requestId": "r"}, status),
        body(f"<?xml version='1.0'?><Error><RequestId>r</RequestId><Code>{code}</Code></Error>".encode(), status),
    ):
        assert fails(client, listing, httpx.Response(status, content=shape.content), read).request_id == "r"
        assert fails(client, CANCEL, httpx.Response(status, content=shape.content), write).code == code


def test_an_unknown_code_is_never_retried_for_a_write(client: Client) -> None:
    for status in (200, 400, 500):
        fails(client, SOURCE, tencent_error("BrandNew", status), UnknownOutcomeError)
        fails(client, CANCEL, gateway("Brand.New", status), UnknownOutcomeError)
        fails(client, RECORD, body({"Success": False, "RequestId": "r"}, status), UnknownOutcomeError)
    fails(client, ListProjects(), tencent_error("BrandNew", 500), TransientError)
    fails(client, ListProjects(), tencent_error("BrandNew", 200), RefusedError)
    fails(client, TENANT, gateway("Brand.New", 400), RefusedError)


# --- success that is none -----------------------------------------------------------------------------


@pytest.mark.parametrize("success", ["FALSE", "TRUE", "True", "0", "1", 0, 1, None, [], {}, "yes", 1.0])
def test_success_is_read_strictly(client: Client, success: Any) -> None:
    fails(client, RECORD, body({"Success": success, "RequestId": "r"}), UnknownOutcomeError)
    fails(client, CANCEL, body({"Success": success, "Result": 2, "RequestId": "r"}), UnknownOutcomeError)
    fails(client, TENANT, body({"Success": success, "Tenant": {"Tid": 1}}), MalformedResponseError)


def test_missing_success(client: Client) -> None:
    fails(client, RECORD, body({"RequestId": "r"}), UnknownOutcomeError)
    fails(client, TENANT, body({"Tenant": {"Tid": 1}, "RequestId": "r"}), MalformedResponseError)
    answer = ask(client, ListAuthorizedUsersForInstance(InstanceId="1"), body({"Users": [], "RequestId": "r"}))
    assert answer.value.rows() == ()


def test_success_beside_an_error_code(client: Client) -> None:
    noise = {"Success": True, "ErrorCode": "MissingUserId", "ErrorMessage": "m", "RequestId": "r"}
    assert fails(client, RECORD, body(noise), UnknownOutcomeError).code == "MissingUserId"
    assert ask(client, TENANT, body({**noise, "Tenant": {"Tid": 1}})).value.Tenant.Tid == "1"
    fails(
        client,
        CANCEL,
        body({"Success": True, "Result": 1, "Code": "Throttling", "RequestId": "r"}),
        UnknownOutcomeError,
    )
    both = {"Response": {"Data": {"Status": True}, "Error": {"Code": "InvalidParameter"}, "RequestId": "r"}}
    fails(client, SOURCE, body(both), UnknownOutcomeError)


@pytest.mark.parametrize("result", [None, "two", -1, 1.5, "", True, [], "2 ", {}])
def test_quick_bi_result_is_a_count(client: Client, result: Any) -> None:
    fails(client, CANCEL, body({"Success": True, "Result": result, "RequestId": "r"}), UnknownOutcomeError)


@pytest.mark.parametrize("data", [None, {}, {"Status": None}, {"Status": "maybe"}, {"Status": 1}, [], "x"])
def test_data_source_status_must_be_true(client: Client, data: Any) -> None:
    fails(client, SOURCE, body({"Response": {"Data": data, "RequestId": "r"}}), UnknownOutcomeError)


def test_data_source_status_false_is_a_refusal(client: Client) -> None:
    fails(client, SOURCE, body({"Response": {"Data": {"Status": False}, "RequestId": "r"}}), RefusedError)
    fails(client, SOURCE, body({"Response": {"RequestId": "r"}}), UnknownOutcomeError)


def test_open_results_carry_every_outcome(client: Client) -> None:
    data = {
        "OverallSuccess": True,
        "Results": [{"Resource": {"ResourceType": "Catalog", "ResourceUri": "a"}, "Result": True}],
    }
    error = fails(client, REVOKE, body({"Response": {"Data": data, "RequestId": "r"}}), UnknownOutcomeError)
    assert isinstance(error, UnknownResultsError)
    assert [(o.resource_uri, o.said) for o in error.outcomes] == [("a", Said.ACCEPTED), ("b", Said.UNKNOWN)]
    assert error.request_id == "r"


def test_refused_results_are_left_to_the_caller(client: Client) -> None:
    results = [
        {"Resource": {"ResourceType": "Catalog", "ResourceUri": u}, "Result": u == "a", "Reason": "no"} for u in "ab"
    ]
    answer = ask(
        client, REVOKE, body({"Response": {"Data": {"OverallSuccess": False, "Results": results}, "RequestId": "r"}})
    )
    assert [o.said for o in answer.value.outcomes(REVOKE.Resources)] == [Said.ACCEPTED, Said.REFUSED]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 204])
def test_a_success_under_another_status_is_no_success(client: Client, status: int) -> None:
    response = body(
        {"Response": {"Data": {"Status": True}, "RequestId": "r"}}, status, location="http://169.254.169.254/"
    )
    if status == 204:
        return  # 2xx counts as success
    fails(client, SOURCE, response, UnknownOutcomeError)
    fails(client, TENANT, body({"Success": True, "Tenant": {"Tid": 1}}, status), MalformedResponseError)


# --- unreadable answers -------------------------------------------------------------------------------

GARBAGE = [
    b"", b" ", b"null", b"[]", b'"text"', b"5", b"{]", b"<html><body>502</body></html>", b"<Error></Error>",
    b"\xff\xfe{}",
    b'{"Response":null}', b'{"Response":[]}', b'{"response":{}}', b'{"Success":NaN}',
    b'{"Success":true,"Success":true}',
    b'{"Response":{"Data":{"Status":true}},"Response":{}}', b"[" * 100_000, b"\x00" * 50, "\ufeff{}".encode(),
    b'{"Response":{"Data":{"Status":true,"x":' + b"9" * 100_000 + b"}}}",
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: ascii(value[:24]))
@pytest.mark.parametrize("status", [200, 400, 500])
def test_garbage(client: Client, garbage: bytes, status: int) -> None:
    for write in (SOURCE, RECORD, CANCEL):
        fails(client, write, body(garbage, status), UnknownOutcomeError)
    for read in (ListProjects(), TENANT):
        fails(client, read, body(garbage, status), TransientError if status >= 500 else MalformedResponseError)


WHOLE = json.dumps(
    {"Success": True, "Tenant": {"Tid": 1, "Name": 'a "}] \\ \u00e9 {'}, "RequestId": "r"}, ensure_ascii=False
)
CUTS = [WHOLE.encode()[:length] for length in range(1, len(WHOLE.encode()))]


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_cut_body_is_read_again_and_leaves_a_write_unknown(client: Client, status: int) -> None:
    """Wherever it is cut: in a name, in a number, in the middle of a character or of an escape."""
    for cut in CUTS:
        fails(client, TENANT, body(cut, status), TransientError)
    for cut in CUTS[:: len(CUTS) // 7]:
        fails(client, CANCEL, body(cut, status), UnknownOutcomeError)


def test_garbage_under_429_is_a_throttled_read(client: Client) -> None:
    error = fails(client, TENANT, body(b"slow down", 429, **{"retry-after": "7"}), ThrottledError)
    assert error.retry_after == 7.0
    fails(client, CANCEL, body(b"slow down", 429), UnknownOutcomeError)


def test_429_is_a_throttled_read_whatever_the_answer_says(client: Client) -> None:
    good = {"RequestId": "r", "Success": True, "Tenant": {"Tid": "3001"}}
    for answer in (body(good, 429, **{"retry-after": "7"}), gateway("BrandNewCode", 429, **{"retry-after": "7"})):
        assert fails(client, TENANT, answer, ThrottledError).retry_after == 7.0
    fails(client, CANCEL, gateway("BrandNewCode", 429), UnknownOutcomeError)
    fails(client, CANCEL, body({"RequestId": "r", "Success": True, "Result": True}, 429), UnknownOutcomeError)


def test_a_key_that_the_host_does_not_know_names_edition_and_region(client: Client) -> None:
    said = str(fails(client, ListProjects(), tencent_error("AuthFailure.SecretIdNotFound"), UnauthorizedError))
    assert "wedata.intl.tencentcloudapi.com (edition international, region ap-singapore) does not know this key" in said
    assert "'edition' (international or mainland), 'region' and 'endpoint'" in said
    said = str(fails(client, TENANT, gateway("InvalidAccessKeyId.NotFound", 404), UnauthorizedError))
    assert "(region central) does not know this key" in said and "'region' and 'endpoint'" in said
    said = str(fails(client, ListProjects(), tencent_error("AuthFailure.SignatureFailure"), UnauthorizedError))
    assert "does not know this key" not in said


def test_ids_never_pass_through_floats(client: Client) -> None:
    for number in ("1.0", "1e18", "1234567890123456789.0", "true"):
        text = f'{{"Response":{{"Data":{{"AuthProjectIds":[{number}],"AuthUsers":null}},"RequestId":"r"}}}}'
        fails(client, DescribeDataSourceAuthority(Id="1"), body(text.encode()), MalformedResponseError)
    text = '{"Response":{"Data":{"AuthProjectIds":[1234567890123456789],"AuthUsers":null},"RequestId":"r"}}'
    assert ask(client, DescribeDataSourceAuthority(Id="1"), body(text.encode())).value.project_ids == (
        "1234567890123456789",
    )


def test_null_data_is_not_an_empty_list(client: Client) -> None:
    fails(
        client,
        DescribeDataSourceAuthority(Id="1"),
        body({"Response": {"Data": None, "RequestId": "r"}}),
        MalformedResponseError,
    )
    empty = body({"Response": {"Data": {"AuthProjectIds": None, "AuthUsers": None}, "RequestId": "r"}})
    assert ask(client, DescribeDataSourceAuthority(Id="1"), empty).value.users == ()


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("retry-after", "0", 0.0), ("retry-after", "5", 5.0), ("retry-after", "1000000000", 60.0),
        ("retry-after", "9" * 400, 60.0), ("retry-after", "-5", None), ("retry-after", "soon", None),
        ("retry-after", "1.5", None), ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT", None), ("retry-after", "", None),
        ("retry-after", "\u0665".encode().decode("latin-1"), None), ("x-acs-retry-after", "1500", 1.5),
        ("x-acs-retry-after", "99999999", 60.0), ("x-acs-retry-after", "NaN", None),
    ],
)  # fmt: skip
def test_asked_waits_are_read_defensively(client: Client, header: str, value: str, expected: float | None) -> None:
    response = gateway("Throttling", 400)
    response.headers = httpx.Headers([(header.encode(), value.encode("latin-1"))], encoding="latin-1")
    assert fails(client, CANCEL, response, ThrottledError).retry_after == expected


# --- what errors may say ------------------------------------------------------------------------------


def test_errors_quote_no_secret(client: Client) -> None:
    quoted = "Specified signature is not matched: POST&%2F&AccessKeyId%3DAKIDcanary0001 server string canary"
    for code, message in (
        ("SignatureDoesNotMatch", quoted),
        ("InvalidParameter", "the AccessKey AKIDcanary0001 is odd"),
        ("InvalidParameter", "seen " + "Zm9v" * 30),
        ("InvalidParameter", "line\r\nbreak \x1b[31m red \u202e bidi {{ var.value.x }} ` [x](http://e)"),
    ):
        error = fails(client, CANCEL, body({"Code": code, "Message": message, "RequestId": "r"}, 400), (UnauthorizedError if "Sig" in code else RefusedError))  # fmt: skip  # noqa: E501
        text = str(error) + repr(error)
        assert "canary" not in text
        assert "Zm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9vZm9v" not in text
        assert not set(str(error)) & set("\r\n\x1b\u202e{}`[]")


def test_answers_with_a_known_request_id_belong_to_somebody_else(client: Client) -> None:
    speaker = client(lambda _: body({"Response": {"Data": {"Status": True}, "RequestId": "same"}}))

    async def twice() -> None:
        assert (await speaker.dispatch(speaker.prepare(SOURCE))).request_id == "same"
        with pytest.raises(UnknownOutcomeError, match="earlier request"):
            await speaker.dispatch(speaker.prepare(SOURCE))

    asyncio.run(twice())


_KEYS = ["Response", "Data", "Error", "Code", "OverallSuccess", "Results", "Result", "Resource", "ResourceType"]
_KEYS += ["ResourceUri", "Status", "Success", "ErrorCode", "RequestId"]
_SHAPES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["true", "false", "Catalog", "a", "b", "r", "2", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_SHAPES, st.sampled_from([200, 400, 500]))
def test_no_shape_escapes_the_error_tree(client: Client, shape: Any, status: int) -> None:
    now = datetime.now(UTC)
    raw = Raw(status, {}, json.dumps(shape).encode(), now, now)
    speakers = {service: client(lambda _: httpx.Response(500), service) for service in ("wedata", "dms", "quickbi")}
    for request in (SOURCE, REVOKE, RECORD, CANCEL):
        judged = judge(speakers[request.service].prepare(request), raw, repeated=lambda _: False)
        assert (judged.answer is None) != (judged.error is None)
        assert not isinstance(judged.error, MalformedResponseError), "a write is never merely malformed"
