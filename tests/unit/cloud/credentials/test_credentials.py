from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.credentials import (
    RETRY_PAUSE,
    AssumedRoleSource,
    Credentials,
    CredentialSource,
    CredentialsUnavailableError,
    EnvironmentSource,
    Role,
    StaticSource,
)
from rescind.cloud.sts_messages import AlibabaAssumeRoleAnswer, TencentAssumeRole, TencentAssumeRoleAnswer
from rescind.errors import (
    ConfigurationError,
    InputError,
    MalformedResponseError,
    NotFoundError,
    RefusedError,
    RunStoppedError,
    ThrottledError,
    TransientError,
    UnauthorizedError,
)

ROLE = Role("qcs::cam::uin/1:roleName/r", "rescind", 3600)


def tencent_reply(name: str, expires: int) -> TencentAssumeRoleAnswer:
    keys = {"TmpSecretId": name, "TmpSecretKey": f"secret-{name}", "Token": f"token-{name}"}
    return TencentAssumeRoleAnswer.model_validate({"Credentials": keys, "ExpiredTime": expires})


class FakeSts:
    """A token service: hands out what is scripted, counts what was asked."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.asked: list[tuple[Any, Credentials]] = []

    async def __call__(self, request: Any, source: CredentialSource) -> Any:
        self.asked.append((request, await source.current()))
        await asyncio.sleep(0)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def source(sts: FakeSts, now: list[float], **options: Any) -> AssumedRoleSource:
    return AssumedRoleSource("tencent", ROLE, StaticSource("base", "base-secret"), sts, clock=lambda: now[0], **options)


def fault(kind: type[Exception]) -> Exception:
    return kind("m", vendor="tencent", action="AssumeRole")  # type: ignore[call-arg]


def test_nothing_is_shown() -> None:
    made = Credentials("AKIDlongname", "secret-value", "token-value", 5.0)
    for shown in (repr(made), str(made), f"{made}", repr([made]), repr(tencent_reply("x", 1))):
        assert "secret-" not in shown
        assert "token-" not in shown
        assert "longname" not in shown


def test_environment_is_read_at_every_use() -> None:
    environ: dict[str, str] = {}
    keys = EnvironmentSource("tencent", environ)
    with pytest.raises(ConfigurationError, match="TENCENTCLOUD_SECRET_ID"):
        asyncio.run(keys.current())
    environ |= {"TENCENTCLOUD_SECRET_ID": "a", "TENCENTCLOUD_SECRET_KEY": "b", "TENCENTCLOUD_TOKEN": "c"}
    found = asyncio.run(keys.current())
    assert (found.key_id, found.secret, found.token) == ("a", "b", "c")
    assert not keys.invalidate(found)
    environ["TENCENTCLOUD_TOKEN"] = "d"
    assert keys.invalidate(found)
    del environ["TENCENTCLOUD_TOKEN"]
    environ["TENCENTCLOUD_SECURITY_TOKEN"] = "e"
    assert asyncio.run(keys.current()).token == "e"
    alibaba = EnvironmentSource("alibaba", {"ALIBABA_CLOUD_ACCESS_KEY_ID": "x", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "y"})
    assert asyncio.run(alibaba.current()).token == ""


def test_a_session_is_reused_until_its_end_is_near() -> None:
    now, sts = [1000.0], FakeSts(tencent_reply("one", 4600), tencent_reply("two", 9000))
    keys = source(sts, now)

    async def run() -> list[str]:
        used = []
        for now[0] in (1000.0, 3000.0, 3999.0, 4001.0, 5000.0):
            used.append((await keys.current()).key_id)
        return used

    assert asyncio.run(run()) == ["one", "one", "one", "two", "two"]
    request, base = sts.asked[0]
    assert (request.RoleArn, request.DurationSeconds, base.key_id) == (ROLE.arn, 3600, "base")


def test_a_short_session_is_not_renewed_at_every_use() -> None:
    now, sts = [0.0], FakeSts(tencent_reply("one", 300))
    keys = source(sts, now)

    async def run() -> None:
        for now[0] in (0.0, 50.0, 199.0):
            assert (await keys.current()).key_id == "one"

    asyncio.run(run())
    assert len(sts.asked) == 1


def test_one_renewal_at_a_time() -> None:
    sts = FakeSts(tencent_reply("one", 9999))
    keys = source(sts, [0.0])

    async def run() -> None:
        found = await asyncio.gather(*(keys.current() for _ in range(20)))
        assert {each.key_id for each in found} == {"one"}

    asyncio.run(run())
    assert len(sts.asked) == 1


@pytest.mark.parametrize(("kind", "seen"), [(TransientError, TransientError), (RefusedError, UnauthorizedError)])
def test_an_old_key_serves_while_the_token_service_is_away(kind: type[Exception], seen: type[Exception]) -> None:
    now, sts = [0.0], FakeSts(tencent_reply("one", 3600), *[fault(kind)] * 3, tencent_reply("two", 9000))
    keys = source(sts, now)

    async def run() -> None:
        assert (await keys.current()).key_id == "one"
        for now[0] in (3100.0, 3500.0):
            assert (await keys.current()).key_id == "one"
        now[0] = 3550.0
        with pytest.raises(seen):
            await keys.current()
        assert (await keys.current()).key_id == "two"

    asyncio.run(run())


def test_a_token_service_that_is_away_is_not_asked_at_every_request() -> None:
    now, sts = [0.0], FakeSts(tencent_reply("one", 3600), *[fault(TransientError)] * 2, tencent_reply("two", 9000))
    keys = source(sts, now)

    async def run() -> list[tuple[str, int]]:
        seen = []
        for now[0] in (0.0, 3001.0, 3002.0, 3001.0 + RETRY_PAUSE - 1, 3001.0 + RETRY_PAUSE, 3050.0):
            seen.append(((await keys.current()).key_id, len(sts.asked)))
        return seen

    assert asyncio.run(run()) == [("one", 1), ("one", 2), ("one", 2), ("one", 2), ("one", 3), ("two", 4)]


def test_waiting_coroutines_share_a_failure_and_the_next_one_tries_again() -> None:
    sts = FakeSts(fault(TransientError), tencent_reply("one", 9000))
    keys = source(sts, [0.0])

    async def run() -> None:
        found = await asyncio.gather(*(keys.current() for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in found} == {TransientError}
        assert len(sts.asked) == 1
        assert (await keys.current()).key_id == "one"

    asyncio.run(run())


def test_a_cancelled_renewal_leaves_the_others_working() -> None:
    sts = FakeSts(tencent_reply("one", 9000))
    keys = source(sts, [0.0])

    async def run() -> None:
        first, second = asyncio.create_task(keys.current()), asyncio.create_task(keys.current())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).key_id == "one"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(run())
    assert len(sts.asked) == 2


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        (fault(RefusedError), UnauthorizedError),
        (fault(NotFoundError), UnauthorizedError),
        (fault(UnauthorizedError), UnauthorizedError),
        (fault(MalformedResponseError), CredentialsUnavailableError),
        (fault(ThrottledError), ThrottledError),
        (fault(TransientError), TransientError),
        (tencent_reply("gone", 900), CredentialsUnavailableError),
        (tencent_reply("has blank", 9000), CredentialsUnavailableError),
        (tencent_reply("", 9000), CredentialsUnavailableError),
    ],
)
def test_failures_are_those_of_a_key_not_of_a_request(step: Any, seen: type[Exception]) -> None:
    """A refusal by the token service must never look like a refusal of the call that needed the key."""
    with pytest.raises(seen) as caught:
        asyncio.run(source(FakeSts(step), [1000.0]).current())
    assert type(caught.value) is seen
    if isinstance(step, RefusedError | NotFoundError):
        assert "role_arn" in str(caught.value)
    assert "secret-" not in str(caught.value)


def test_the_kill_switch_passes_through() -> None:
    keys = source(FakeSts(RunStoppedError("stop"), tencent_reply("one", 9000)), [0.0])
    with pytest.raises(RunStoppedError):
        asyncio.run(keys.current())
    assert asyncio.run(keys.current()).key_id == "one"


def test_a_role_on_a_role() -> None:
    """Each link renews by its own end; the first role's key pays for the second one's."""
    now = [0.0]
    first = FakeSts(tencent_reply("hop1", 3600), tencent_reply("hop2", 9000))
    second = FakeSts(tencent_reply("end1", 1800), tencent_reply("end2", 8000))
    chain = AssumedRoleSource("tencent", ROLE, source(first, now), second, clock=lambda: now[0])

    async def run() -> list[str]:
        return [(await chain.current()).key_id for now[0] in (0.0, 1000.0, 1700.0, 3500.0)]

    assert asyncio.run(run()) == ["end1", "end1", "end2", "end2"]
    assert [key.key_id for _, key in second.asked] == ["hop1", "hop1"]
    assert len(first.asked) == 1


def test_a_withdrawn_role_stops_at_once() -> None:
    now, sts = [0.0], FakeSts(tencent_reply("one", 3600), fault(UnauthorizedError))
    keys = source(sts, now)

    async def run() -> None:
        await keys.current()
        now[0] = 3100.0
        with pytest.raises(UnauthorizedError):
            await keys.current()

    asyncio.run(run())


def test_a_rejected_key_is_never_used_again() -> None:
    sts = FakeSts(tencent_reply("one", 9000), fault(TransientError), tencent_reply("two", 9000))
    keys = source(sts, [0.0])

    async def run() -> None:
        one = await keys.current()
        assert keys.invalidate(one)
        with pytest.raises(TransientError):
            await keys.current()
        two = await keys.current()
        assert two.key_id == "two"
        assert keys.invalidate(one), "an old key that fails late must not throw the new one away"
        assert (await keys.current()).key_id == "two"

    asyncio.run(run())


def test_secrets_are_announced_for_masking() -> None:
    told: list[str] = []
    keys = source(FakeSts(tencent_reply("one", 9000)), [0.0], on_secret=told.append)
    asyncio.run(keys.current())
    assert told == ["secret-one", "token-one"]


@pytest.fixture
def alibaba_reply() -> Callable[[str], AlibabaAssumeRoleAnswer]:
    def build(expiration: str) -> AlibabaAssumeRoleAnswer:
        keys = {"AccessKeyId": "k", "AccessKeySecret": "s", "SecurityToken": "t", "Expiration": expiration}
        return AlibabaAssumeRoleAnswer.model_validate({"Credentials": keys})

    return build


def test_alibaba_times(alibaba_reply: Callable[[str], AlibabaAssumeRoleAnswer]) -> None:
    keys = AssumedRoleSource(
        "alibaba", ROLE, StaticSource("b", "s"), FakeSts(alibaba_reply("2026-01-02T03:04:05Z")), clock=lambda: 0.0
    )
    assert asyncio.run(keys.current()).expires_at == 1767323045.0
    broken = AssumedRoleSource(
        "alibaba", ROLE, StaticSource("b", "s"), FakeSts(alibaba_reply("tomorrow")), clock=lambda: 0.0
    )
    with pytest.raises(CredentialsUnavailableError, match="Expiration"):
        asyncio.run(broken.current())


def test_role_parameters_are_checked() -> None:
    with pytest.raises(InputError):
        TencentAssumeRole(RoleArn="x y", RoleSessionName="ok")
    with pytest.raises(InputError):
        TencentAssumeRole(RoleArn="qcs::cam::uin/1", RoleSessionName="has blank")
    with pytest.raises(InputError):
        TencentAssumeRole(RoleArn="qcs::cam::uin/1", RoleSessionName="ok", DurationSeconds=60)


def test_the_process_environment_is_read_at_use(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    keys = EnvironmentSource("alibaba", on_secret=told.append)
    for name in ("one", "two", "two"):
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", f"LTAI{name}")
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", f"secret-{name}")
        assert asyncio.run(keys.current()).key_id == f"LTAI{name}"
    assert told == ["secret-one", "secret-two"]


@pytest.mark.parametrize("value", ["has blank", "line\nend", "naïve", "x" * 600])
def test_unusable_variables_are_named_and_not_quoted(value: str) -> None:
    environ = {"TENCENTCLOUD_SECRET_ID": "AKIDx", "TENCENTCLOUD_SECRET_KEY": value}
    with pytest.raises(ConfigurationError, match="TENCENTCLOUD_SECRET_KEY") as caught:
        asyncio.run(EnvironmentSource("tencent", environ).current())
    assert value not in str(caught.value)
