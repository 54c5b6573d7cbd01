"""Keys from the profile files of the vendors' command lines and libraries.

Tencent: ``~/.tencentcloud/credentials``, ``/etc/tencentcloud/credentials`` (ini), ``~/.tccli/<name>.credential``
(JSON). Alibaba: ``~/.aliyun/config.json``, then the ini file ``~/.alibabacloud/credentials.ini`` or the one that
``ALIBABA_CLOUD_CREDENTIALS_FILE`` names. The first file that has the profile counts. Sources: the vendors'
libraries and command lines; their own readers are left aside because they read the environment at import
(Alibaba) or break on a missing section (Tencent).

Which profile: the connection's ``profile``, else the vendor's variable (``TCCLI_PROFILE``,
``ALIBABA_CLOUD_PROFILE``), else what the file calls current, else ``default``. Files and variables are looked at
before every use, so rotated keys are seen. No message ever quotes a file.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rescind.cloud.credentials.base import (
    Credentials,
    CredentialSource,
    OnSecret,
    StaticSource,
    keep_silent,
    shape_problem,
)
from rescind.cloud.strict_json import JsonError, loads
from rescind.errors import ConfigurationError

_MOST_BYTES = 1024 * 1024
_DURATION = range(900, 43201)


@dataclass(frozen=True, slots=True)
class Profile:
    """What one profile says, whichever file it stands in.

    :param kind: ``keys``, ``role`` (assume ``role_arn`` with the keys), ``instance_role`` or ``oidc``.
    :param place: file and profile, for messages.
    :param duration_s: 0 when the profile does not say.
    """

    kind: str
    place: str
    keys: Credentials = field(default_factory=lambda: Credentials("", ""), repr=False)
    role_arn: str = ""
    role_name: str = ""
    session_name: str = ""
    external_id: str = ""
    duration_s: int = 0
    provider: str = ""
    token_file: str = ""


Build = Callable[[Profile], CredentialSource]
"""Makes a source of what a profile says."""


class ProfileSource:
    """The key of a profile, or of the role that the profile describes.

    :param vendor: ``tencent`` or ``alibaba``.
    :param name: the profile; empty for the vendor's own choice, see the module.
    :param build: makes the source for profiles that hold more than a key.
    """

    def __init__(
        self,
        vendor: str,
        name: str,
        build: Build,
        *,
        environ: Mapping[str, str] | None = None,
        on_secret: OnSecret = keep_silent,
        system_folder: Path = Path("/etc"),
    ) -> None:
        self._vendor = vendor
        self._name = name
        self._build = build
        self._environ = os.environ if environ is None else environ
        self._on_secret = on_secret
        self._system_folder = system_folder
        self._seen: tuple[Any, ...] = ()
        self._inner: CredentialSource | None = None

    async def current(self) -> Credentials:
        """The key that the profile stands for.

        :raises ConfigurationError: when no file has the profile, or it is incomplete or of an unknown kind.
        """
        return await self._source().current()

    def invalidate(self, used: Credentials) -> bool:
        """True when the files have changed since, or when the role behind the profile can give another key."""
        if self._inner is None or self._stamp() != self._seen:
            return True
        return self._inner.invalidate(used)

    def _source(self) -> CredentialSource:
        stamp = self._stamp()
        if self._inner is None or stamp != self._seen:
            self._inner, self._seen = None, ()
            profile = self._find()
            if secret := profile.keys.secret:
                self._on_secret(secret)
                if profile.keys.token:
                    self._on_secret(profile.keys.token)
            keys = profile.keys
            plain = profile.kind == "keys"
            self._inner = StaticSource(keys.key_id, keys.secret, keys.token) if plain else self._build(profile)
            self._seen = stamp
        return self._inner

    def _stamp(self) -> tuple[Any, ...]:
        """Changes whenever another profile may be meant: names and what the file system says of each file."""
        return (self._chosen(), *((str(path), _mark(path)) for path, _ in self._files()))

    def _chosen(self) -> str:
        variable = "TCCLI_PROFILE" if self._vendor == "tencent" else "ALIBABA_CLOUD_PROFILE"
        return self._name or self._environ.get(variable, "").strip()

    def _files(self) -> Iterator[tuple[Path, Callable[[Path, bytes, str], Profile | None]]]:
        home = Path(self._environ.get("HOME") or Path.home())
        if self._vendor == "tencent":
            yield home / ".tencentcloud" / "credentials", _tencent_ini
            yield self._system_folder / "tencentcloud" / "credentials", _tencent_ini
            name = self._chosen() or "default"
            if name.replace("-", "").replace("_", "").replace(".", "").isalnum() and not name.startswith("."):
                yield home / ".tccli" / f"{name}.credential", _tencent_json
            return
        if self._environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() != "true":
            yield home / ".aliyun" / "config.json", _alibaba_json
        own = self._environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE", "")
        yield Path(own) if own else home / ".alibabacloud" / "credentials.ini", _alibaba_ini

    def _find(self) -> Profile:
        looked = []
        for path, read in self._files():
            body = _body(path)
            if body is not None and (found := read(path, body, self._chosen())) is not None:
                return found
            looked.append(f"{path} ({'no such profile' if body is not None else 'no such file'})")
        raise ConfigurationError(
            f"credentials: there is no profile {self._chosen() or 'default'!r}; looked in {', '.join(looked)}. "
            "Create it for the user that the worker runs as, or name another one in 'profile'"
        )


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _body(path: Path) -> bytes | None:
    """The file's bytes, or None when there is no file."""
    problem = ""
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
        if len(body) <= _MOST_BYTES:
            return body
        problem = "is larger than 1 MiB"
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"cannot be read ({type(error).__name__})"
    raise ConfigurationError(f"credentials: {path} {problem}. Check it, and that the worker's user may read it")


# --- ini ----------------------------------------------------------------------------------------------


def _section(path: Path, body: bytes, name: str) -> Mapping[str, str] | None:
    parser = configparser.ConfigParser(interpolation=None, default_section="", inline_comment_prefixes=("#",))
    broken = False
    try:
        parser.read_string(body.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError):
        broken = True  # the parser's own message quotes lines
    if broken:
        raise ConfigurationError(f"credentials: {path} is not a readable ini file. Correct it")
    if not parser.has_section(name):
        return None
    return {key: value.strip().strip('"') for key, value in parser.items(name)}


def _tencent_ini(path: Path, body: bytes, name: str) -> Profile | None:
    name = name or "default"
    found = _section(path, body, name)
    if found is None:
        return None
    place = f"{path} [{name}]"
    keys = _keys(place, found, "secret_id", "secret_key", "token")
    return Profile("keys", place, keys)  # role_arn is read and then ignored by the vendor's library; so here


def _alibaba_ini(path: Path, body: bytes, name: str) -> Profile | None:
    name = name or "default"
    found = _section(path, body, name)
    if found is None:
        return None
    kinds = {
        "access_key": "keys", "ram_role_arn": "role", "oidc_role_arn": "oidc", "ecs_ram_role": "instance_role",
    }  # fmt: skip
    place = f"{path} [{name}]"
    kind = _kind(place, "type", found.get("type", ""), kinds)
    fields = {
        "role_arn": "role_arn", "role_name": "role_name", "session_name": "role_session_name",
        "provider": "oidc_provider_arn", "token_file": "oidc_token_file_path",
    }  # fmt: skip
    return _alibaba(place, kind, found, fields, ("access_key_id", "access_key_secret", "security_token"))


# --- JSON ---------------------------------------------------------------------------------------------


def _json(path: Path, body: bytes) -> Mapping[str, Any]:
    value: Any = None
    try:
        value = loads(body.removeprefix(b"\xef\xbb\xbf"), max_entries=100_000)
    except JsonError:
        value = None
    if not isinstance(value, dict):
        raise ConfigurationError(f"credentials: {path} is not a readable JSON object. Correct it")
    return value


def _tencent_json(path: Path, body: bytes, name: str) -> Profile | None:
    found = _json(path, body)
    place = str(path)
    kind = _kind(
        place,
        "type",
        str(found.get("type") or "default"),
        {"default": "keys", "cvm-role": "instance_role"},
        "sessions of the browser login (oauth, sso) cannot be renewed here",
    )
    if kind == "instance_role":
        return Profile(kind, place)
    keys = _keys(place, found, "secretId", "secretKey", "token")
    role_arn = _text(place, found, "role-arn") or _text(place, found, "role_arn")
    session = _text(place, found, "role-session-name") or _text(place, found, "role_session_name")
    return Profile("role" if role_arn else "keys", place, keys, role_arn=role_arn, session_name=session)


def _alibaba_json(path: Path, body: bytes, name: str) -> Profile | None:
    content = _json(path, body)
    name = name or _text(str(path), content, "current") or "default"
    profiles = content.get("profiles")
    listed = [entry for entry in profiles if isinstance(entry, dict)] if isinstance(profiles, list) else []
    found = next((entry for entry in listed if entry.get("name") == name), None)
    if found is None:
        return None
    place = f"{path} profile {name!r}"
    kinds = {
        "ak": "keys", "ststoken": "keys", "ramrolearn": "role", "ecsramrole": "instance_role", "oidc": "oidc",
    }  # fmt: skip
    mode = str(found.get("mode") or "AK")
    kind = _kind(place, "mode", mode.lower(), kinds, "set role_arn in the connection to assume a further role")
    fields = {
        "role_arn": "ram_role_arn", "role_name": "ram_role_name", "session_name": "ram_session_name",
        "external_id": "external_id", "provider": "oidc_provider_arn", "token_file": "oidc_token_file",
    }  # fmt: skip
    made = _alibaba(place, kind, found, fields, ("access_key_id", "access_key_secret", "sts_token"))
    if mode.lower() == "ststoken" and not made.keys.token:
        raise _incomplete(place, "sts_token")
    return made


# --- both ---------------------------------------------------------------------------------------------


def _alibaba(
    place: str, kind: str, found: Mapping[str, Any], fields: Mapping[str, str], keys: tuple[str, str, str]
) -> Profile:
    given = {ours: _text(place, found, theirs) for ours, theirs in fields.items()}
    needed = {"role": ("role_arn",), "oidc": ("role_arn", "provider", "token_file")}.get(kind, ())
    if missing := [fields[name] for name in needed if not given[name]]:
        raise _incomplete(place, ", ".join(missing))
    if _text(place, found, "policy"):
        raise ConfigurationError(
            f"credentials: {place} narrows its role with a policy, which is not supported here, and leaving it out "
            "would widen the rights. Attach the policy to the role, and remove it from the profile"
        )
    made = _keys(place, found, *keys) if kind in ("keys", "role") else Credentials("", "")
    seconds = found.get("expired_seconds") or found.get("role_session_expiration") or 0
    duration = int(seconds) if str(seconds).isdigit() and int(seconds) in _DURATION else 0
    return Profile(kind, place, made, duration_s=duration, **given)


def _keys(place: str, found: Mapping[str, Any], id_name: str, secret_name: str, token_name: str) -> Credentials:
    key_id, secret, token = (_text(place, found, name) for name in (id_name, secret_name, token_name))
    keys = Credentials(key_id, secret, token)
    if problem := shape_problem(keys):
        raise ConfigurationError(f"credentials: in {place} {problem}. Correct {id_name}, {secret_name}, {token_name}")
    return keys


def _text(place: str, found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"credentials: in {place} {name} is not text. Correct it")
    return (value or "").strip()


def _kind(place: str, field_name: str, given: str, kinds: Mapping[str, str], hint: str = "") -> str:
    kind = kinds.get(given)
    if kind is None:
        shown = given if given.replace("_", "").replace("-", "").isalnum() and len(given) < 40 else "unreadable"
        raise ConfigurationError(
            f"credentials: in {place} {field_name} is {shown}, which is not supported"
            f"{f' ({hint})' if hint else ''}. Use a profile of one of: {', '.join(kinds)}"
        )
    return kind


def _incomplete(place: str, missing: str) -> ConfigurationError:
    return ConfigurationError(f"credentials: in {place} there is no {missing}. Add it")
