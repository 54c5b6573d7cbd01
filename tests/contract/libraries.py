"""The vendors' own Python libraries behind one small face, pointed at a loopback server.

Requests are built from the vendors' names through the libraries' request models, so a name that a library does
not know is an error here; answers come back as the library's response models read them.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

REGION = "ap-singapore"
_TENCENT = {
    "wedata": ("tencentcloud.wedata.v20250806", "wedata_client", "WedataClient"),
    "tencent-sts": ("tencentcloud.sts.v20180813", "sts_client", "StsClient"),
}
_ALIBABA = {
    "dms": "alibabacloud_dms_enterprise20181101",
    "quickbi": "alibabacloud_quickbi_public20220101",
    "alibaba-sts": "alibabacloud_sts20150401",
}
_NOT_SIGNED = {"AssumeRoleWithWebIdentity"}
"""Sent with the library's option for it, as the library's own credential class sends it."""


class LibraryRefusalError(Exception):
    """The library raised its own error for an answer.

    :param status: HTTP status as the library gives it, or None.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status


class Library:
    """One product's library client."""

    product: str

    def __init__(self) -> None:
        self.called: set[str] = set()

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        """Call an action with parameters under the vendor's names; the answer under the vendor's names.

        :raises LibraryRefusalError: when the library raises its error for the vendor's answer.
        """
        raise NotImplementedError

    def has(self, action: str) -> bool:
        """Whether the library has a method for the action."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the library's connections."""


class TencentLibrary(Library):
    """``tencentcloud-sdk-python``: TC3-HMAC-SHA256, ``content-type;host`` signed.

    :param url: base URL of the server; its host and port are what is sent and signed as ``Host``.
    """

    def __init__(self, product: str, url: str, key_id: str, secret: str, token: str = "") -> None:
        super().__init__()
        from tencentcloud.common import credential
        from tencentcloud.common.profile.client_profile import ClientProfile
        from tencentcloud.common.profile.http_profile import HttpProfile

        package, module, name = _TENCENT[product]
        self.product = product
        self.models: ModuleType = import_module(f"{package}.models")
        parts = urlsplit(url)
        http = HttpProfile(protocol=parts.scheme, endpoint=parts.netloc, reqTimeout=20)
        profile = ClientProfile(httpProfile=http, language="en-US")
        self.client: Any = getattr(import_module(f"{package}.{module}"), name)(
            credential.Credential(key_id, secret, token or None), REGION, profile
        )

    def has(self, action: str) -> bool:
        return hasattr(self.client, action)

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        from tencentcloud.common.exception import TencentCloudSDKException

        self.called.add(action)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # how the library complains about unknown fields
            request = getattr(self.models, f"{action}Request")()
            request._deserialize(params)
            try:
                answer = self._send(action, request)
            except TencentCloudSDKException as error:
                assert error.code != "UserWarning", f"{action}: the library does not know {error.message}"
                raise LibraryRefusalError(error.code, error.message) from None
        return dict(json.loads(answer.to_json_string()))

    def _send(self, action: str, request: Any) -> Any:
        if action not in _NOT_SIGNED:
            return getattr(self.client, action)(request)
        body = self.client.call(action, request._serialize(), options={"SkipSign": True})
        answer = getattr(self.models, f"{action}Response")()
        answer._deserialize(json.loads(body)["Response"])
        return answer

    def close(self) -> None:
        self.client.request.conn._session.close()


class AlibabaLibrary(Library):
    """``alibabacloud-*`` on ``alibabacloud-tea-openapi``.

    :param algorithm: None for the library's default (ACS3-HMAC-SHA256), ``v2`` for HMAC-SHA1 in the query.
    """

    def __init__(
        self, product: str, url: str, key_id: str, secret: str, token: str = "", algorithm: str | None = None
    ) -> None:
        super().__init__()
        from alibabacloud_tea_openapi.utils_models import Config

        self.product = product
        self.models: ModuleType = import_module(f"{_ALIBABA[product]}.models")
        parts = urlsplit(url)
        self.client: Any = import_module(f"{_ALIBABA[product]}.client").Client(
            Config(
                access_key_id=key_id,
                access_key_secret=secret,
                security_token=token or None,
                endpoint=parts.netloc,
                protocol=parts.scheme,
                region_id="cn-hangzhou",
                signature_algorithm=algorithm,
                read_timeout=20_000,
            )
        )
        self.raw: dict[str, Any] = {}
        self._call_api: Callable[..., dict[str, Any]] = self.client.call_api
        self.client.call_api = self._recording

    def _recording(self, params: Any, request: Any, runtime: Any) -> dict[str, Any]:
        answer = self._call_api(params, request, runtime)
        self.raw = answer["body"]
        return answer

    def _method(self, action: str) -> str | None:
        wanted = action.lower()
        names = [name for name in vars(type(self.client)) if name.replace("_", "") == wanted]
        return names[0] if names else None

    def has(self, action: str) -> bool:
        return self._method(action) is not None

    def request(self, action: str, params: dict[str, Any]) -> Any:
        """The library's request model, or None for an action without parameters."""
        kind = getattr(self.models, f"{action}Request", None)
        if kind is None:
            assert not params, f"{action} has no parameters in the library"
            return None
        request = kind().from_map(params)
        known = {name: value for name, value in request.to_map().items() if value != []}
        assert known == params, f"{action}: the library does not know {sorted(set(params) - set(known))}"
        return request

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        from darabonba.exceptions import DaraException

        self.called.add(action)
        method = getattr(self.client, self._method(action) or action)
        request = self.request(action, params)
        try:
            answer = method(request) if inspect.signature(method).parameters else method()
        except DaraException as error:
            raise LibraryRefusalError(
                str(error.code), str(error.message), getattr(error, "status_code", None)
            ) from None
        return dict(answer.body.to_map())

    def close(self) -> None:
        from darabonba.core import DaraCore

        for session in DaraCore._sessions.values():
            session.close()
        DaraCore._sessions.clear()


def library(product: str, url: str, key_id: str, secret: str, token: str = "") -> Library:
    """The library of a product."""
    kind = TencentLibrary if product in _TENCENT else AlibabaLibrary
    return kind(product, url, key_id, secret, token)
