"""Turn the bytes of an answer into a reply or an error. Outcomes are classified here only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

import httpx
from pydantic import ValidationError

from rescind.cloud.answers.error_codes import Class, meaning
from rescind.cloud.answers.strict_json import CutJsonError, JsonError, loads
from rescind.cloud.base import Answer, Prepared, ReplyT
from rescind.cloud.fields import exact_flag
from rescind.cloud.retry import asked_wait
from rescind.cloud.transport import Raw, TransportError
from rescind.errors import (
    CloudError,
    ExpiredSignatureError,
    MalformedResponseError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
    UnknownOutcomeError,
)

_XML_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9._-]{1,100})\s*</Code>")
_XML_REQUEST = re.compile(rb"<RequestId>\s*([A-Za-z0-9-]{1,100})\s*</RequestId>")
_UNSAFE = re.compile(r"[^\w .,:;()'/@<>=+*%-]|[_A-Za-z0-9+/=]{40,}", re.ASCII)
_NO_ERROR = frozenset({"", "0", "200", "OK", "Success", "success"})
_EXPIRED = {
    Class.TOKEN: "the temporary key has expired: give the connection a new key and token, or a source that renews them",
    Class.CLOCK: "the signing time is not accepted: set the clock of this machine",
}
_UNKNOWN_KEY = frozenset(
    {"AuthFailure.SecretIdNotFound", "AuthFailure.InvalidSecretId", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId"}
)
_MAINLAND = frozenset({"wedata.tencentcloudapi.com", "sts.tencentcloudapi.com"})
_SILENT = re.compile(r"Signature|Token|AccessKey|SecretId|Credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What both vendors' envelopes have in common.

    :param failed: the vendor says that the request failed.
    :param contradiction: a success that also carries an error code, or a failure that also carries data.
    """

    payload: Mapping[str, Any]
    request_id: str = ""
    failed: bool = False
    code: str = ""
    message: str = ""
    contradiction: bool = False


@dataclass(frozen=True, slots=True)
class Judged(Generic[ReplyT]):
    """Exactly one of ``answer`` and ``error`` is set."""

    answer: Answer[ReplyT] | None = None
    error: CloudError | None = None
    meaning: Class | None = None


class _EnvelopeError(ValueError):
    """An answer without a readable envelope."""


def from_fault(prepared: Prepared[Any], fault: TransportError) -> CloudError:
    """The error for a request without an answer.

    A write that may have left is an unknown outcome; everything else can be tried again.
    """
    kind = UnknownOutcomeError if prepared.write and fault.sent else TransientError
    tail = "" if fault.sent else "; nothing was sent"
    return kind(fault.reason + tail, vendor=prepared.vendor, action=prepared.action)


def judge(prepared: Prepared[ReplyT], raw: Raw, *, repeated: Any) -> Judged[ReplyT]:
    """Read an answer.

    :param repeated: callable that takes the answer's request id and says whether it was seen before; an
        answer with a known id belongs to another request.
    """
    try:
        envelope = _envelope(prepared, raw.body)
    except (JsonError, _EnvelopeError) as problem:
        return Judged(error=_unreadable(prepared, raw, problem))
    facts = _facts(prepared, raw, envelope)
    if envelope.contradiction and prepared.write:
        return Judged(error=UnknownOutcomeError("the answer holds a success and an error", **facts))
    if envelope.failed:
        found = meaning(prepared.vendor, envelope.code)
        return Judged(error=_failure(prepared, raw, envelope, found, facts), meaning=found)
    if _slowed_down(prepared, raw):
        return Judged(error=ThrottledError("HTTP 429", retry_after=asked_wait(raw.headers), **facts))
    if not 200 <= raw.status < 300:
        return Judged(error=_doubt(prepared, "a success under an error status", facts))
    if envelope.request_id and repeated(envelope.request_id):
        kind = UnknownOutcomeError if prepared.write else TransientError
        return Judged(error=kind("the answer carries the id of an earlier request", **facts))
    return _reply(prepared, raw, envelope, facts)


def _reply(prepared: Prepared[ReplyT], raw: Raw, envelope: Envelope, facts: dict[str, Any]) -> Judged[ReplyT]:
    problem = ""
    try:
        value: Any = prepared.request.Answer.model_validate(dict(envelope.payload))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        problem = f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
    except (JsonError, RecursionError) as error:
        problem = str(error)
    if problem:
        return Judged(error=_doubt(prepared, _clean(problem), facts))
    objection = prepared.request.objection(value, facts)
    if objection is not None:
        return Judged(error=objection)
    return Judged(Answer(value, envelope.request_id, raw.status, raw.sent_at, raw.answered_at))


def _envelope(prepared: Prepared[Any], body: bytes) -> Envelope:
    if body.lstrip()[:1] == b"<":
        return _xml(body)
    value = loads(body)
    if not isinstance(value, dict):
        raise _EnvelopeError("not an object")
    return _tencent(value) if prepared.vendor == "tencent" else _alibaba(value, prepared.request.needs_success)


def _tencent(value: Mapping[str, Any]) -> Envelope:
    inner = value.get("Response")
    if not isinstance(inner, dict):
        raise _EnvelopeError("no Response")
    request_id = _word(inner.get("RequestId"))
    if "Error" not in inner:
        return Envelope(inner, request_id)
    error = inner["Error"] if isinstance(inner["Error"], dict) else {}
    both = inner.get("Data") is not None
    return Envelope({}, request_id, True, _word(error.get("Code")), _word(error.get("Message")), both)


def _alibaba(value: Mapping[str, Any], needs_success: bool) -> Envelope:
    request_id = _word(value.get("RequestId")) or _word(value.get("requestId"))
    gateway = _code(value.get("Code")) or _code(value.get("code"))
    message = _word(value.get("Message")) or _word(value.get("message")) or _word(value.get("ErrorMessage"))
    business = _code(value.get("ErrorCode"))
    if "Success" not in value:
        if gateway:
            return Envelope({}, request_id, True, gateway, message)
        if needs_success:
            raise _EnvelopeError("neither Success nor Code")
        return Envelope(value, request_id)
    try:
        success = exact_flag(value["Success"])
    except ValueError:
        raise _EnvelopeError("Success is neither true nor false") from None
    if not success:
        return Envelope({}, request_id, True, business or gateway, message)
    contradiction = bool(business) or gateway not in _NO_ERROR
    return Envelope(value, request_id, code=business or gateway if contradiction else "", contradiction=contradiction)


def _xml(body: bytes) -> Envelope:
    """An early gateway error can be XML. Two fields are picked out; nothing is parsed as XML."""
    code = _XML_CODE.search(body[:65536])
    if b"<Error" not in body[:2048] or code is None:
        raise _EnvelopeError("markup in place of JSON")
    request_id = _XML_REQUEST.search(body[:65536])
    return Envelope({}, request_id[1].decode() if request_id else "", True, code[1].decode())


def _failure(prepared: Prepared[Any], raw: Raw, envelope: Envelope, found: Class, facts: dict[str, Any]) -> CloudError:
    text = _said(envelope)
    if found is Class.THROTTLED or _slowed_down(prepared, raw):
        return ThrottledError(text, retry_after=asked_wait(raw.headers), **facts)
    if found is Class.NOT_FOUND:
        return NotFoundError(text, **facts)
    if found is Class.REFUSED:
        return RefusedError(text, **facts)
    if found in _EXPIRED:
        return ExpiredSignatureError(f"{text}; {_EXPIRED[found]}. Not executed", **facts)
    if found is Class.UNAUTHORIZED:
        return UnauthorizedError(text + _unknown_key(prepared, envelope.code), **facts)
    if prepared.write:  # NONCE, AMBIGUOUS, UNKNOWN
        return UnknownOutcomeError(text, **facts)
    if found in (Class.NONCE, Class.AMBIGUOUS) or raw.status >= 500:
        return TransientError(text, retry_after=asked_wait(raw.headers), **facts)
    return RefusedError(text, **facts)


def _slowed_down(prepared: Prepared[Any], raw: Raw) -> bool:
    """Whether a read was throttled by its status, whatever the code says. A write is judged by its code."""
    return raw.status == 429 and not prepared.write


def _unknown_key(prepared: Prepared[Any], code: str) -> str:
    """The remedy for a key that the asked host does not know: it may be a key of another site of the vendor."""
    if code not in _UNKNOWN_KEY:
        return ""
    host, region = httpx.URL(prepared.url).host, prepared.bucket.region
    if prepared.vendor == "tencent":
        edition = "international" if ".intl." in host else "mainland" if host in _MAINLAND else "given by 'endpoint'"
        where = f"edition {edition}, region {region}"
        what = "the extras 'edition' (international or mainland), 'region' and 'endpoint' are those of its account"
    else:
        where = f"region {region}"
        what = (
            "the extras 'region' and 'endpoint' are those of its account: keys of the public cloud, of finance and of"
            " government regions, and of the vendor's editions do not know each other"
        )
    return f"; {host} ({where}) does not know this key. Check the key id, and that {what}"


def _unreadable(prepared: Prepared[Any], raw: Raw, problem: ValueError) -> CloudError:
    facts: dict[str, Any] = {"vendor": prepared.vendor, "action": prepared.action, "http_status": raw.status}
    text = f"the answer is unreadable: {problem}"
    if prepared.write:
        return UnknownOutcomeError(text, **facts)
    if _slowed_down(prepared, raw):
        return ThrottledError(text, retry_after=asked_wait(raw.headers), **facts)
    passing = raw.status >= 500 or isinstance(problem, CutJsonError)
    return (TransientError if passing else MalformedResponseError)(text, **facts)


def _doubt(prepared: Prepared[Any], problem: str, facts: dict[str, Any]) -> CloudError:
    return (UnknownOutcomeError if prepared.write else MalformedResponseError)(problem, **facts)


def _facts(prepared: Prepared[Any], raw: Raw, envelope: Envelope) -> dict[str, Any]:
    return {
        "vendor": prepared.vendor,
        "action": prepared.action,
        "code": _clean(envelope.code)[:100],
        "request_id": _clean(envelope.request_id)[:100],
        "http_status": raw.status,
    }


def _said(envelope: Envelope) -> str:
    """The vendor's words, unless they may quote what was signed; long unbroken strings are left out."""
    if not envelope.message or _SILENT.search(envelope.code) or _SILENT.search(envelope.message):
        return "the vendor reports an error" if envelope.code else "the vendor reports an error without a code"
    return f"the vendor says: {_clean(envelope.message)}"


def _clean(text: str) -> str:
    return _UNSAFE.sub("?", text)[:300]


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _code(value: Any) -> str:
    """An error code as text. What is neither text nor nothing counts as a code too: it is no plain success."""
    if value is None or isinstance(value, str):
        return _word(value)
    return str(value) if isinstance(value, int) else "unreadable"
