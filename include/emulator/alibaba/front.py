"""Alibaba's RPC gateway: V3 by headers, V1 by query parameters, 4xx/5xx error envelopes."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from emulator.errors import ApiError
from emulator.gateway.front import Inbound, to_json
from emulator.gateway.wire import Answer, Request
from emulator.keys import ALIBABA_ACCOUNT, Credential, Identity
from emulator.params import check_alibaba
from emulator.registry import Action
from emulator.signing import alibaba as acs
from emulator.world import World

VERSIONS = {"2018-11-01": "dms", "2022-01-01": "quickbi", "2015-04-01": "alibaba-sts"}
_COMMON = {"Action", "Version", "Format", "Timestamp", "SignatureNonce", "SignatureMethod", "SignatureVersion",
           "SignatureType", "AccessKeyId", "SecurityToken", "Signature"}  # fmt: skip
_SECRET = {"OIDCToken", "Policy", "IndepPassword"}
_MISMATCH = "Specified signature is not matched with our calculation. server string to sign is:"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HOST_REGION = re.compile(r"^[a-z-]+\.(?P<region>[a-z]{2,4}-[a-z0-9-]+)\.aliyuncs\.com")


class AlibabaFront:
    """The front door of DMS, Quick BI and Alibaba's STS."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, request: Request) -> Inbound | None:
        """V3 has ``x-acs-action``, V1 an ``Action`` parameter; signed as V1, it may have the header as well."""
        request_id = str(uuid.uuid4()).upper()
        pairs = dict(self._pairs(request))
        if "x-acs-action" in request.headers and not ("Signature" in pairs and "authorization" not in request.headers):
            return Inbound(request, "alibaba", request_id, action=request.headers["x-acs-action"],
                           scheme=acs.ALGORITHM)  # fmt: skip
        if "Action" not in pairs:
            return None
        inbound = Inbound(request, "alibaba", request_id, action=pairs["Action"], scheme="HMAC-SHA1")
        inbound.text_format = "json" if pairs.get("Format", "").lower() == "json" else "xml"
        return inbound

    @staticmethod
    def _pairs(request: Request) -> list[tuple[str, str]]:
        pairs = acs.parse_query(request.query)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs += acs.parse_query(request.body.decode("utf-8", "replace"))
        return pairs

    def identify(self, inbound: Inbound) -> None:
        """Version, region (from the host), parameters from the query and from a form body."""
        request = inbound.request
        pairs = self._pairs(request)
        inbound.given = dict(pairs)
        v1 = inbound.scheme == "HMAC-SHA1"
        inbound.shown = {name: value for name, value in pairs if not (v1 and name in _COMMON) and name not in _SECRET}
        inbound.version = inbound.given.get("Version", "") if v1 else request.headers.get("x-acs-version", "")
        match = _HOST_REGION.match(request.host)
        inbound.region = match["region"] if match else "-"
        if v1:
            inbound.key_id = inbound.given.get("AccessKeyId", "")
        elif authorization := acs.parse_authorization(request.headers.get("authorization", "")):
            inbound.key_id = authorization.key_id
        if inbound.version not in VERSIONS:
            raise ApiError("InvalidVersion", "Specified parameter Version is not valid.", 400)
        inbound.product = VERSIONS[inbound.version]
        if request.path not in ("", "/"):
            raise ApiError("InvalidApi.NotFound", "Specified api is not found, please check your url and method.", 404)

    def authenticate(self, inbound: Inbound, action: Action, skew: float) -> None:
        """Key, time window, signature, token, nonce."""
        if inbound.request.method not in action.methods:
            raise ApiError("UnsupportedHTTPMethod", "This http method is not supported.", 403)
        v1 = inbound.scheme == "HMAC-SHA1"
        if not action.signed and not inbound.given.get("Signature") and "authorization" not in inbound.request.headers:
            inbound.identity = Identity("alibaba", ALIBABA_ACCOUNT, "", "anonymous")
            return
        nonce, stamp, token = self._v1(inbound, skew) if v1 else self._v3(inbound, skew)
        credential = self.world.keys.get(inbound.key_id)
        assert credential is not None
        self._token(token, credential)
        if not nonce or self.world.keys.nonce_used(inbound.key_id, nonce, stamp, acs.WINDOW_S):
            raise ApiError("SignatureNonceUsed", "Specified signature nonce was used already.")
        if not credential.identity.allowed and inbound.product == "dms":
            raise ApiError("Forbidden.RAM", "User not authorized to operate on the specified resource.", 403)
        if credential.identity.account != ALIBABA_ACCOUNT and inbound.product == "quickbi":
            raise ApiError("Invalid.Organization", "The specified organizational unit does not exist.", 400)
        inbound.identity = credential.identity

    def _credential(self, key_id: str) -> Credential:
        credential = self.world.keys.get(key_id)
        if credential is None or credential.identity.vendor != "alibaba":
            raise ApiError("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
        return credential

    def _check_time(self, text: str, skew: float) -> None:
        try:
            stamp = datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()
        except ValueError:
            message = "Specified time stamp or date value is not well formatted."
            raise ApiError("InvalidTimeStamp.Format", message) from None
        if abs(self.world.clock.now() + skew - stamp) > acs.WINDOW_S:
            raise ApiError("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")

    def _v3(self, inbound: Inbound, skew: float) -> tuple[str, float, str]:
        request = inbound.request
        authorization = acs.parse_authorization(request.headers.get("authorization", ""))
        if authorization is None:
            raise ApiError("IncompleteSignature", "The Authorization header is missing or malformed.")
        inbound.signature = authorization.signature
        credential = self._credential(authorization.key_id)
        self._check_time(request.headers.get("x-acs-date", ""), skew)
        body_hash = hashlib.sha256(request.body).hexdigest()
        if request.headers.get("x-acs-content-sha256", "") != body_hash:
            raise ApiError("InvalidContentSha256", "x-acs-content-sha256 does not match the body.")
        unsigned = acs.must_be_signed(request.headers, request.body) - set(authorization.signed_headers)
        if unsigned:
            raise ApiError("IncompleteSignature", f"These headers must be signed: {', '.join(sorted(unsigned))}.")
        canonical = acs.canonical_request(
            request.method, request.path, acs.parse_query(request.query), request.headers,
            authorization.signed_headers, body_hash,
        )  # fmt: skip
        expected = acs.signature(credential.secret, canonical)
        if not hmac.compare_digest(expected, authorization.signature):
            raise ApiError("SignatureDoesNotMatch", _MISMATCH + acs.string_to_sign(canonical))
        token = request.headers.get("x-acs-security-token", "")
        return request.headers.get("x-acs-signature-nonce", ""), self.world.clock.now(), token

    def _v1(self, inbound: Inbound, skew: float) -> tuple[str, float, str]:
        given = inbound.given
        if given.get("SignatureMethod") != "HMAC-SHA1" or given.get("SignatureVersion") != "1.0":
            raise ApiError("IncompleteSignature", "SignatureMethod must be HMAC-SHA1 and SignatureVersion 1.0.")
        credential = self._credential(given.get("AccessKeyId", ""))
        inbound.signature = given.get("Signature", "")
        self._check_time(given.get("Timestamp", ""), skew)
        text = acs.v1_string_to_sign(inbound.request.method, self._pairs(inbound.request))
        if not hmac.compare_digest(acs.v1_signature(credential.secret, text), inbound.signature):
            raise ApiError("SignatureDoesNotMatch", _MISMATCH + text)
        return given.get("SignatureNonce", ""), self.world.clock.now(), given.get("SecurityToken", "")

    def _token(self, token: str, credential: Credential) -> None:
        if credential.token and not token:
            raise ApiError("MissingSecurityToken", "SecurityToken is mandatory for this action.")
        if token != credential.token:
            raise ApiError("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        if credential.token and self.world.clock.now() >= credential.expires:
            raise ApiError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")

    def check(self, action: Action, inbound: Inbound) -> dict[str, Any]:
        """Required parameters and their types; unknown ones are ignored."""
        return check_alibaba(action.spec, inbound.given)

    def unknown_action(self, inbound: Inbound) -> ApiError:
        """InvalidApi.NotFound."""
        return ApiError("InvalidApi.NotFound", "Specified api is not found, please check your url and method.", 404)

    def throttled(self, inbound: Inbound, limit: float, wait: float) -> ApiError:
        """Throttling.User, with the wait in milliseconds when the mode says so."""
        modes = self.world.modes
        headers = {"x-acs-retry-after": str(max(1, int(wait * 1000)))} if modes["alibaba_retry_after"] == "on" else {}
        return ApiError("Throttling.User", "Request was denied due to user flow control.",
                        int(modes["alibaba_throttle_status"]), headers=headers)  # fmt: skip

    def success(self, action: Action, payload: Any, inbound: Inbound) -> dict[str, Any]:
        """Each product's own envelope."""
        modes = self.world.modes
        if inbound.product == "alibaba-sts":
            return {"RequestId": inbound.request_id, **payload}
        if inbound.product == "dms":
            if action.bare:
                return {"RequestId": inbound.request_id, **payload}
            noise = {"ErrorCode": "MissingUserId", "ErrorMessage": "UserId is mandatory for this action."}
            return {"RequestId": inbound.request_id, "Success": True, **payload,
                    **(noise if modes["dms_success_noise"] == "on" else {})}  # fmt: skip
        if modes["quickbi_spelling"] == "strings":
            simple = str(payload).lower() if isinstance(payload, bool) else str(payload)
            payload = simple if isinstance(payload, (bool, int)) else payload
            return {"RequestId": inbound.request_id, "Success": "true", "Result": payload}
        return {"RequestId": inbound.request_id, "Success": True, "Result": payload}

    def failure(self, error: ApiError, inbound: Inbound) -> tuple[int, dict[str, Any]]:
        """HTTP 200 with ``Success: false``, or the gateway's envelope."""
        if error.in_body:
            return 200, {"RequestId": inbound.request_id, "Success": False, "ErrorCode": error.code,
                         "ErrorMessage": error.message}  # fmt: skip
        body = {
            "RequestId": inbound.request_id, "HostId": inbound.request.host, "Code": error.code,
            "Message": error.message, "Recommend": f"https://error-center.example.com/search?q={error.code}",
        }  # fmt: skip
        if self.world.modes["alibaba_error_keys"] == "camel":
            body = {name[0].lower() + name[1:]: value for name, value in body.items()}
        return error.status, body

    def answer(self, status: int, body: dict[str, Any], inbound: Inbound) -> Answer:
        """JSON, or XML for a V1 call that did not ask for JSON."""
        if inbound.text_format == "xml":
            root = "Error" if status >= 400 else f"{inbound.action}Response"
            return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>{to_xml(root, body)}'.encode(),
                          "text/xml;charset=utf-8")  # fmt: skip
        return Answer(status, to_json(body), "application/json;charset=utf-8")


def to_xml(name: str, value: Any) -> str:
    """A value as an XML element; a list repeats the element."""
    if isinstance(value, list):
        return "".join(to_xml(name, item) for item in value)
    if isinstance(value, dict):
        inner = "".join(to_xml(key, item) for key, item in value.items())
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = "" if value is None else escape(str(value))
    return f"<{name}>{inner}</{name}>"
