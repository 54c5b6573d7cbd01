"""Who calls: access keys, sessions from AssumeRole, and the nonces already used."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

TENCENT_ACCOUNT = "100000000001"
TENCENT_OTHER_ACCOUNT = "100000000002"
ALIBABA_ACCOUNT = "1600000000000001"
ALIBABA_OTHER_ACCOUNT = "1600000000000002"


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller behind a key.

    :param account: id of the cloud account (Tencent: root uin; Alibaba: account uid).
    :param user: id of the user or role session inside it.
    :param kind: ``user``, ``application`` (a user who is nobody of the organization) or ``role``.
    :param allowed: False for a caller without any rights.
    """

    vendor: str
    account: str
    user: str
    name: str
    kind: str = "user"
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Credential:
    """A key with its secret; a token and an end (epoch seconds) when it is temporary."""

    key_id: str
    secret: str
    identity: Identity
    token: str = ""
    expires: float = 0.0


class Keyring:
    """All credentials, by key id, with the memory of used nonces and signatures."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}
        self._nonces: OrderedDict[str, float] = OrderedDict()
        self._signatures: OrderedDict[str, None] = OrderedDict()

    def add(self, credential: Credential) -> None:
        """Make a credential known."""
        self._credentials[credential.key_id] = credential

    def get(self, key_id: str) -> Credential | None:
        """The credential of a key id."""
        return self._credentials.get(key_id)

    def remove(self, key_id: str) -> bool:
        """Withdraw a key (or a session) from now on."""
        return self._credentials.pop(key_id, None) is not None

    def session(self, identity: Identity, expires: float) -> Credential:
        """Issue temporary credentials."""
        stem = secrets.token_hex(10).upper()
        prefix = "AKIDTMP" if identity.vendor == "tencent" else "STS.DEMO"
        credential = Credential(
            f"{prefix}{stem}", secrets.token_hex(16), identity, f"demo-token/{secrets.token_hex(24)}+==", expires
        )
        self.add(credential)
        return credential

    def nonce_used(self, key_id: str, nonce: str, now: float, window: float) -> bool:
        """True when the key used the nonce within the window; remembers it otherwise."""
        while self._nonces:
            oldest, when = next(iter(self._nonces.items()))
            if now - when < window:
                break
            del self._nonces[oldest]
        entry = f"{key_id}/{nonce}"
        if entry in self._nonces:
            return True
        self._nonces[entry] = now
        return False

    def seen_signature(self, signature: str) -> bool:
        """True when a request with this signature has been here before (the last 20,000 are known)."""
        if signature in self._signatures:
            return True
        self._signatures[signature] = None
        if len(self._signatures) > 20_000:
            self._signatures.popitem(last=False)
        return False

    def expire_sessions(self, now: float) -> int:
        """End all temporary credentials at once; how many there were."""
        ended = 0
        for key_id, credential in list(self._credentials.items()):
            if credential.token and credential.expires > now:
                self._credentials[key_id] = Credential(
                    key_id, credential.secret, credential.identity, credential.token, now - 1
                )
                ended += 1
        return ended

    def public(self) -> list[dict[str, str]]:
        """The static demo keys, secrets included: they open nothing but this emulator."""
        return [
            {
                "vendor": credential.identity.vendor,
                "key_id": credential.key_id,
                "secret": credential.secret,
                "account": credential.identity.account,
                "user": credential.identity.user,
                "name": credential.identity.name,
                "allowed": "yes" if credential.identity.allowed else "no",
            }
            for credential in self._credentials.values()
            if not credential.token
        ]


def demo_keyring(tencent_user: str, alibaba_user: str, name: str) -> Keyring:
    """The fixed demo keys: the tool's own, one of the same account, a foreign account, one without rights."""
    ring = Keyring()
    rows = [
        ("AKIDDEMO0000000000000000000000001", "tencent-demo-secret-1", "tencent", TENCENT_ACCOUNT, tencent_user, name),
        ("AKIDDEMO0000000000000000000000002", "tencent-demo-secret-2", "tencent", TENCENT_ACCOUNT,
         "100000009002", "second-application"),
        ("AKIDDEMO0000000000000000000000003", "tencent-demo-secret-3", "tencent", TENCENT_OTHER_ACCOUNT,
         "100000009003", "foreign-account"),
        ("AKIDDEMO0000000000000000000000004", "tencent-demo-secret-4", "tencent", TENCENT_ACCOUNT,
         "100000009004", "no-rights"),
        ("LTAIDEMO00000000000001", "alibaba-demo-secret-1", "alibaba", ALIBABA_ACCOUNT, alibaba_user, name),
        ("LTAIDEMO00000000000002", "alibaba-demo-secret-2", "alibaba", ALIBABA_ACCOUNT,
         "2600000000009002", "second-application"),
        ("LTAIDEMO00000000000003", "alibaba-demo-secret-3", "alibaba", ALIBABA_OTHER_ACCOUNT,
         "2600000000009003", "foreign-account"),
        ("LTAIDEMO00000000000004", "alibaba-demo-secret-4", "alibaba", ALIBABA_ACCOUNT,
         "2600000000009004", "no-rights"),
    ]  # fmt: skip
    for key_id, secret, vendor, account, user, who in rows:
        kind = "application" if who == "second-application" else "user"
        identity = Identity(vendor, account, user, who, kind, allowed=who != "no-rights")
        ring.add(Credential(key_id, secret, identity))
    return ring
