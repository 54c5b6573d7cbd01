"""Tencent's API 3.0 gateway: headers, TC3 signature, ``Response`` envelopes that are always HTTP 200."""

from __future__ import annotations

import hmac
import json
import re
import uuid
from typing import Any

from emulator.errors import ApiError
from emulator.gateway.front import Inbound, to_json
from emulator.gateway.wire import Answer, Request
from emulator.keys import TENCENT_ACCOUNT, Credential, Identity
from emulator.params import check_tencent
from emulator.registry import Action
from emulator.signing import tencent as tc3
from emulator.world import World

VERSIONS = {"2025-08-06": ("wedata", "wedata"), "2018-08-13": ("tencent-sts", "sts")}
MOST_BODY = 10 * 1024 * 1024
_SECRET = {"WebIdentityToken"}
_REGION = re.compile(r"^[a-z]{2,4}-[a-z][a-z0-9-]{2,30}$")


class TencentFront:
    """The front door of WeData and Tencent's STS."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, request: Request) -> Inbound | None:
        """A request with ``X-TC-Action`` is Tencent's."""
        action = request.headers.get("x-tc-action")
        if action is None:
            return None
        return Inbound(request, "tencent", str(uuid.uuid4()), action=action, scheme="TC3-HMAC-SHA256")

    def identify(self, inbound: Inbound) -> None:
        """Version, region, JSON body."""
        headers, request = inbound.request.headers, inbound.request
        inbound.version = headers.get("x-tc-version", "")
        authorization = tc3.parse_authorization(headers.get("authorization", ""))
        if authorization is not None:
            inbound.key_id = authorization.key_id
        if not inbound.version:
            raise ApiError("MissingParameter", "The request is missing the header X-TC-Version.")
        if inbound.version not in VERSIONS:
            raise ApiError("NoSuchVersion", f"The version {inbound.version} does not exist.")
        inbound.product = VERSIONS[inbound.version][0]
        inbound.region = headers.get("x-tc-region", "") or "-"
        if request.method != "POST" or request.path != "/":
            raise ApiError("InvalidRequest", "Send POST to / with a JSON body.")
        if len(request.body) > MOST_BODY:
            raise ApiError("RequestSizeLimitExceeded", "The request is larger than 10 MB.")
        if not headers.get("content-type", "").lower().startswith("application/json"):
            raise ApiError("InvalidRequest", "The content type must be application/json.")
        try:
            inbound.given = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            raise ApiError("InvalidRequest", "The request body is not valid JSON.") from None
        given = inbound.given if isinstance(inbound.given, dict) else {"": inbound.given}
        inbound.shown = {name: value for name, value in given.items() if name not in _SECRET}

    def authenticate(self, inbound: Inbound, action: Action, skew: float) -> None:
        """Timestamp window, key, scope, signature, token, region, rights."""
        headers = inbound.request.headers
        if not action.signed and headers.get("authorization") == "SKIP":
            inbound.identity = Identity("tencent", TENCENT_ACCOUNT, "", "anonymous")
            return
        authorization = tc3.parse_authorization(headers.get("authorization", ""))
        if authorization is None:
            raise ApiError("AuthFailure.InvalidAuthorization", "The Authorization header is missing or malformed.")
        inbound.signature = authorization.signature
        credential = self.world.keys.get(authorization.key_id)
        if credential is None or credential.identity.vendor != "tencent":
            raise ApiError("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
        timestamp = self._timestamp(headers, skew)
        self._signature(inbound, authorization, credential, timestamp)
        self._token(headers, credential)
        if inbound.product == "wedata":
            if not _REGION.match(inbound.region):
                code = "MissingParameter" if inbound.region == "-" else "UnsupportedRegion"
                raise ApiError(code, "The request needs a valid X-TC-Region header.")
            if not credential.identity.allowed:
                raise ApiError("UnauthorizedOperation", "You are not authorized to perform this operation.")
        inbound.identity = credential.identity

    def _timestamp(self, headers: dict[str, str], skew: float) -> int:
        text = headers.get("x-tc-timestamp", "")
        if not text.isdigit():
            raise ApiError("InvalidParameter", "X-TC-Timestamp must be a number of seconds.")
        if abs(self.world.clock.now() + skew - int(text)) > tc3.WINDOW_S:
            raise ApiError("AuthFailure.SignatureExpire", "The signature has expired: check the system clock.")
        return int(text)

    @staticmethod
    def _signature(inbound: Inbound, authorization: tc3.Authorization, credential: Credential, timestamp: int) -> None:
        headers, service = inbound.request.headers, VERSIONS[inbound.version][1]
        if authorization.service != service or authorization.date != tc3.date_of(timestamp):
            raise ApiError("AuthFailure.SignatureFailure",
                           f"The credential scope must be {tc3.date_of(timestamp)}/{service}/tc3_request.")  # fmt: skip
        if not {"content-type", "host"} <= set(authorization.signed_headers):
            raise ApiError("AuthFailure.SignatureFailure", "content-type and host must be signed.")
        canonical = tc3.canonical_request(
            "POST", "/", inbound.request.query, headers, authorization.signed_headers,
            tc3.payload_hash(headers, inbound.request.body),
        )  # fmt: skip
        expected = tc3.signature(credential.secret, timestamp, authorization.date, service, canonical)
        if not hmac.compare_digest(expected, authorization.signature):
            raise ApiError("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")

    def _token(self, headers: dict[str, str], credential: Credential) -> None:
        if headers.get("x-tc-token", "") != credential.token:
            raise ApiError("AuthFailure.TokenFailure", "The token is missing or wrong.")
        if credential.token and self.world.clock.now() >= credential.expires:
            raise ApiError("AuthFailure.TokenFailure", "The token has expired.")

    def check(self, action: Action, inbound: Inbound) -> dict[str, Any]:
        """Types and names of the JSON body."""
        return check_tencent(action.spec, inbound.given)

    def unknown_action(self, inbound: Inbound) -> ApiError:
        """InvalidAction."""
        return ApiError("InvalidAction", f"The action {inbound.action} does not exist.")

    def throttled(self, inbound: Inbound, limit: float, wait: float) -> ApiError:
        """RequestLimitExceeded."""
        return ApiError(
            "RequestLimitExceeded",
            f"Your current request times equals to `{int(limit) + 1}` in a second, which exceeds the frequency limit "
            f"`{int(limit)}` for a second. Please reduce the frequency of calls.",
        )

    def success(self, action: Action, payload: Any, inbound: Inbound) -> dict[str, Any]:
        """``Response`` with the payload and the request id."""
        return {"Response": {**payload, "RequestId": inbound.request_id}}

    def failure(self, error: ApiError, inbound: Inbound) -> tuple[int, dict[str, Any]]:
        """HTTP 200 with ``Response.Error``."""
        body = {"Error": {"Code": error.code, "Message": error.message}, "RequestId": inbound.request_id}
        return 200, {"Response": body}

    def answer(self, status: int, body: dict[str, Any], inbound: Inbound) -> Answer:
        """JSON."""
        return Answer(status, to_json(body), "application/json")
