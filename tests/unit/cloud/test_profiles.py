"""Keys from the vendors' profile files."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.cloud.credentials import Credentials, CredentialSource, ProfileSource, StaticSource
from rescind.cloud.credentials.profiles import Profile
from rescind.errors import ConfigurationError

CANARY = "canary-profile-secret"
INI_TENCENT = (
    f"[default]\nsecret_id = AKIDini\nsecret_key = {CANARY}\n[audit]\nsecret_id=AKIDaudit\nsecret_key={CANARY}\n"
)


class Home:
    """A home folder with profile files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}
        self.built: list[Profile] = []
        self.told: list[str] = []

    def write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def source(self, vendor: str, name: str = "") -> ProfileSource:
        def build(profile: Profile) -> CredentialSource:
            self.built.append(profile)
            return StaticSource(f"built-{profile.kind}", "s")

        return ProfileSource(
            vendor, name, build, environ=self.environ, on_secret=self.told.append, system_folder=self.folder / "etc"
        )

    def current(self, vendor: str, name: str = "") -> Credentials:
        return asyncio.run(self.source(vendor, name).current())

    def aliyun(self, *profiles: dict[str, Any], current: str = "default") -> Path:
        return self.write("home/.aliyun/config.json", {"current": current, "profiles": list(profiles)})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


AK = {"name": "default", "mode": "AK", "access_key_id": "LTAIak", "access_key_secret": CANARY}


# --- Tencent ------------------------------------------------------------------------------------------


def test_tencent_ini(home: Home) -> None:
    home.write("home/.tencentcloud/credentials", INI_TENCENT)
    found = home.current("tencent")
    assert (found.key_id, found.secret, found.token) == ("AKIDini", CANARY, "")
    assert home.current("tencent", "audit").key_id == "AKIDaudit"
    assert home.told == [CANARY, CANARY]


def test_tencent_places_are_searched_in_order(home: Home) -> None:
    home.write("home/.tccli/default.credential", {"secretId": "AKIDcli", "secretKey": CANARY, "token": "tok"})
    assert (home.current("tencent").key_id, home.current("tencent").token) == ("AKIDcli", "tok")
    home.write("etc/tencentcloud/credentials", INI_TENCENT.replace("AKIDini", "AKIDetc"))
    assert home.current("tencent").key_id == "AKIDetc"
    home.write("home/.tencentcloud/credentials", INI_TENCENT)
    assert home.current("tencent").key_id == "AKIDini"


def test_tencent_command_line_roles(home: Home) -> None:
    content = {"secretId": "AKIDcli", "secretKey": CANARY, "role-arn": "qcs::cam::uin/1:roleName/r",
               "role-session-name": "night"}  # fmt: skip
    home.write("home/.tccli/default.credential", content)
    home.environ["TCCLI_PROFILE"] = "machine"
    home.write("home/.tccli/machine.credential", {"type": "cvm-role"})
    assert home.current("tencent").key_id == "built-instance_role"
    assert home.current("tencent", "default").key_id == "built-role"
    role = home.built[-1]
    assert (role.role_arn, role.session_name, role.keys.key_id) == ("qcs::cam::uin/1:roleName/r", "night", "AKIDcli")
    assert CANARY not in repr(role)


@pytest.mark.parametrize("kind", ["oauth", "sso"])
def test_browser_logins_cannot_be_used(home: Home, kind: str) -> None:
    home.write("home/.tccli/default.credential", {"type": kind, "secretId": "a", "secretKey": CANARY})
    with pytest.raises(ConfigurationError, match=rf"type is {kind}.*not supported"):
        home.current("tencent")


# --- Alibaba ------------------------------------------------------------------------------------------


def test_alibaba_modes(home: Home) -> None:
    keys = {"access_key_id": "LTAIak", "access_key_secret": CANARY}
    home.aliyun(
        AK,
        {"name": "sts", "mode": "StsToken", **keys, "sts_token": "canary-token"},
        {"name": "role", "mode": "RamRoleArn", **keys, "ram_role_arn": "acs:ram::1:role/r", "ram_session_name": "s1",
         "expired_seconds": 1800, "external_id": "x-1"},
        {"name": "ecs", "mode": "EcsRamRole", "ram_role_name": "NodeRole"},
        {"name": "pod", "mode": "OIDC", "oidc_provider_arn": "acs:ram::1:oidc-provider/p",
         "ram_role_arn": "acs:ram::1:role/o", "oidc_token_file": "/var/run/token", "ram_session_name": "s2"},
        current="sts",
    )  # fmt: skip
    assert home.current("alibaba", "default").key_id == "LTAIak"
    assert home.current("alibaba").token == "canary-token"
    for name in ("role", "ecs", "pod"):
        home.current("alibaba", name)
    role, ecs, pod = home.built
    assert (role.kind, role.role_arn, role.session_name, role.duration_s, role.external_id, role.keys.key_id) == (
        "role", "acs:ram::1:role/r", "s1", 1800, "x-1", "LTAIak",
    )  # fmt: skip
    assert (ecs.kind, ecs.role_name, ecs.keys.key_id) == ("instance_role", "NodeRole", "")
    assert (pod.kind, pod.provider, pod.token_file) == ("oidc", "acs:ram::1:oidc-provider/p", "/var/run/token")
    assert "canary-token" in home.told


@pytest.mark.parametrize(
    "mode", ["CloudSSO", "OAuth", "External", "ChainableRamRoleArn", "RsaKeyPair", "CredentialsURI", "Anonymous", "x y"]
)
def test_other_modes_are_a_clear_error(home: Home, mode: str) -> None:
    home.aliyun({**AK, "mode": mode, "process_command": "touch /tmp/never"})
    with pytest.raises(ConfigurationError, match=r"mode is .*not supported.*ak, ststoken, ramrolearn") as caught:
        home.current("alibaba")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({**AK, "access_key_secret": ""}, "there is no secret"),
        ({**AK, "access_key_secret": 7}, "access_key_secret is not text"),
        ({**AK, "access_key_id": "has blank"}, "the key id holds blanks"),
        ({**AK, "mode": "StsToken"}, "there is no sts_token"),
        ({**AK, "mode": "RamRoleArn"}, "there is no ram_role_arn"),
        ({**AK, "mode": "RamRoleArn", "ram_role_arn": "acs:ram::1:role/r", "policy": "{}"}, "widen the rights"),
        ({**AK, "mode": "OIDC", "ram_role_arn": "acs:ram::1:role/r"}, "no oidc_provider_arn, oidc_token_file"),
    ],
)
def test_incomplete_profiles_name_what_is_missing(home: Home, profile: dict[str, Any], words: str) -> None:
    home.aliyun(profile)
    with pytest.raises(ConfigurationError, match=r"config\.json profile 'default'") as caught:
        home.current("alibaba")
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)


def test_alibaba_ini_and_its_variables(home: Home) -> None:
    home.write(
        "home/.alibabacloud/credentials.ini",
        f"[default]\ntype = access_key # the audit user\naccess_key_id = LTAIini\naccess_key_secret = {CANARY}\n"
        f"[role]\ntype=ram_role_arn\naccess_key_id=LTAIini\naccess_key_secret={CANARY}\nrole_arn=acs:ram::1:role/r\n"
        "[ecs]\ntype=ecs_ram_role\nrole_name=NodeRole\n[pair]\ntype=rsa_key_pair\npublic_key_id=k\n",
    )
    assert home.current("alibaba").key_id == "LTAIini"
    home.environ["ALIBABA_CLOUD_PROFILE"] = "role"
    assert home.current("alibaba").key_id == "built-role"
    assert home.current("alibaba", "ecs").key_id == "built-instance_role"
    with pytest.raises(ConfigurationError, match="rsa_key_pair, which is not supported"):
        home.current("alibaba", "pair")
    other = home.write("elsewhere.ini", f"[role]\ntype=access_key\naccess_key_id=LTAIown\naccess_key_secret={CANARY}\n")
    home.environ["ALIBABA_CLOUD_CREDENTIALS_FILE"] = str(other)
    assert home.current("alibaba").key_id == "LTAIown"


def test_the_command_lines_file_comes_first_and_can_be_switched_off(home: Home) -> None:
    home.aliyun(AK)
    home.write(
        "home/.alibabacloud/credentials.ini",
        f"[default]\ntype=access_key\naccess_key_id=LTAIini\naccess_key_secret={CANARY}\n",
    )
    keys = home.source("alibaba")
    assert asyncio.run(keys.current()).key_id == "LTAIak"
    home.environ["ALIBABA_CLOUD_CLI_PROFILE_DISABLED"] = "true"
    assert asyncio.run(keys.current()).key_id == "LTAIini", "a variable changed at run time is seen"


# --- both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "prepare", "name"),
    [
        ("tencent", lambda home: None, ""),
        ("tencent", lambda home: home.write("home/.tencentcloud/credentials", INI_TENCENT), "nobody"),
        ("tencent", lambda home: home.write("home/.tencentcloud/credentials", ""), ""),
        ("alibaba", lambda home: None, ""),
        ("alibaba", lambda home: home.aliyun(AK), "nobody"),
        ("alibaba", lambda home: home.aliyun(AK, current="ghost"), ""),
        ("alibaba", lambda home: home.write("home/.aliyun/config.json", {"profiles": [None, 7]}), ""),
        ("alibaba", lambda home: home.write("home/.aliyun/config.json", {}), ""),
    ],
)
def test_a_missing_file_or_section_says_where_was_looked(
    home: Home, vendor: str, prepare: Callable[[Home], Any], name: str
) -> None:
    prepare(home)
    with pytest.raises(ConfigurationError, match=r"there is no profile .*looked in .*Create it") as caught:
        home.current(vendor, name)
    assert str(home.folder) in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("vendor", "file", "content"),
    [
        ("tencent", "home/.tencentcloud/credentials", f"secret_key = {CANARY}\n"),
        ("tencent", "home/.tencentcloud/credentials", f"[default]\n{CANARY}\n"),
        ("tencent", "home/.tencentcloud/credentials", INI_TENCENT + f"[default]\nsecret_key={CANARY}\n"),
        ("tencent", "home/.tccli/default.credential", f'{{"secretKey": "{CANARY}"'),
        ("tencent", "home/.tccli/default.credential", f'["{CANARY}"]'),
        ("alibaba", "home/.aliyun/config.json", f"<html>{CANARY}</html>"),
        ("alibaba", "home/.aliyun/config.json", f'{{"current": ["{CANARY}"]}}'),
        ("alibaba", "home/.alibabacloud/credentials.ini", f"[default]\naccess_key_secret={CANARY}\n"),
        ("alibaba", "home/.aliyun/config.json", " " * 1_100_000),
    ],
)
def test_broken_files_are_named_and_never_quoted(home: Home, vendor: str, file: str, content: str) -> None:
    home.write(file, content)
    with pytest.raises(ConfigurationError) as caught:
        home.current(vendor)
    assert str(home.folder / file) in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None, "a parser's error quotes lines of the file"


def test_a_folder_in_the_place_of_the_file(home: Home) -> None:
    (home.folder / "home/.tencentcloud/credentials").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"cannot be read \(IsADirectoryError\)"):
        home.current("tencent")


def test_rotated_keys_are_seen_and_unchanged_files_are_not_read_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.write("home/.tencentcloud/credentials", INI_TENCENT)
    keys = home.source("tencent")
    reads = 0
    plain = ProfileSource._find

    def counted(self: ProfileSource) -> Profile:
        nonlocal reads
        reads += 1
        return plain(self)

    monkeypatch.setattr(ProfileSource, "_find", counted)

    async def run() -> None:
        first = await keys.current()
        assert [await keys.current() for _ in range(5)] == [first] * 5
        assert reads == 1
        assert not keys.invalidate(first)
        path.write_text(INI_TENCENT.replace("AKIDini", "AKIDnew"))
        os.utime(path, ns=(1, 1))
        assert keys.invalidate(first)
        assert (await keys.current()).key_id == "AKIDnew"
        path.unlink()
        with pytest.raises(ConfigurationError, match="no profile"):
            await keys.current()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["../../x", ".hidden", "a/b"])
def test_a_variable_cannot_lead_out_of_the_folder(home: Home, name: str) -> None:
    home.environ["TCCLI_PROFILE"] = name
    home.write("home/x.credential", {"secretId": "AKIDout", "secretKey": CANARY})
    with pytest.raises(ConfigurationError, match="there is no profile"):
        home.current("tencent")
