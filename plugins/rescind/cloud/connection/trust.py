"""Which certificate authorities a connection trusts, and through which proxy it goes.

Both are named in the connection, never taken from the environment. A proxy only opens a tunnel (``CONNECT``): the
request inside is encrypted for the vendor, unless the connection also trusts the authority of a proxy that inspects.
"""

from __future__ import annotations

import functools
import os
import re
import ssl

import certifi

from rescind.errors import ConfigurationError

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\]"
_PROXY = re.compile(rf"https?://(?:{_HOST}):([1-9][0-9]{{0,4}})/?")


def check_proxy(address: str) -> str:
    """Return the address of a proxy: ``http`` or ``https``, a host and a port, nothing else.

    :raises ConfigurationError: for anything else.
    """
    found = _PROXY.fullmatch(address)
    if found is None or int(found[1]) > 65535:
        raise ConfigurationError(
            "proxy: is not an address of a proxy. Write http://HOST:PORT, without a user or a path; 'proxy_login' and"
            " 'proxy_password' are extras of their own"
        )
    return address.rstrip("/")


def tls_context(ca_bundle: str = "") -> ssl.SSLContext:
    """Return TLS 1.2 or later with verification; nothing from the environment, no key log.

    :param ca_bundle: absolute path of a PEM file with the authorities to trust in place of certifi's; empty for those.
    :raises ConfigurationError: when the file cannot be read or has no certificate of an authority.
    """
    if not ca_bundle:
        return _context(certifi.where(), 0)
    if not os.path.isabs(ca_bundle):
        raise ConfigurationError("ca_bundle: is not an absolute path. Write the path of a PEM file on every worker")
    try:
        context = _context(ca_bundle, os.stat(ca_bundle).st_mtime_ns)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(
            f"ca_bundle: the file cannot be used ({type(error).__name__}). It must be readable by every worker and hold"
            " certificates in PEM form"
        ) from None
    if not context.cert_store_stats()["x509_ca"]:
        raise ConfigurationError(
            "ca_bundle: the file has no certificate of an authority. Write the certificate that signed the server's"
        )
    return context


@functools.lru_cache(maxsize=16)
def _context(path: str, _changed: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=path)
    return context
