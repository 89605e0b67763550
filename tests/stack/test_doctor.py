"""`dev.py doctor` against the embedded stack: each fault is recognised, told apart from every other, and said once."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import pytest

from local.control_client import ControlClient
from local.doctor import PROJECT, report
from local.process import StackProcess
from local.vault.access import OFFICER

NO_ROLE = '{"error": {"code": "Forbidden", "message": "", "innererror": {"code": "ForbiddenByRbac"}}}'
NOWHERE_TENANT = "11111111-2222-4333-8444-555555555555"

type Prepare = Callable[[ControlClient], Awaitable[None]]


@dataclass(frozen=True)
class Said:
    """What the command printed, a line a finding, and its exit code."""

    code: int
    lines: tuple[str, ...]
    errors: str

    def of(self, state: str) -> dict[str, str]:
        """By check (with what it is of, where it says so): the words."""
        found = [line for line in self.lines if line.startswith(f"{state} ")]
        return {line[8:30].strip(): line[31:] for line in found}


type Doctor = Callable[[Mapping[str, str]], Awaitable[Said]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """The command's work on these settings, in this process."""

    async def said(settings: Mapping[str, str]) -> Said:
        for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
            monkeypatch.setenv(name, settings[name])  # the SDK reads the environment itself
        lines: list[str] = []
        return Said(await report(settings, lines.append), tuple(lines), "")

    return said


async def command(settings: Mapping[str, str], *arguments: str) -> Said:
    """The command in a process of its own, on these settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.doctor", *arguments),
        cwd=PROJECT,
        env={**kept, "NO_PROXY": "localhost,127.0.0.1", **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return Said(process.returncode or 0, tuple(out.decode().splitlines()), errors.decode())


def asks(service: str, action: str, **fields: object) -> Prepare:
    async def prepare(control: ControlClient) -> None:
        await control.fault(service, action, times=None, **fields)

    return prepare


def vault(**access: str) -> Prepare:
    async def prepare(control: ControlClient) -> None:
        await control.vault(**access)

    return prepare


async def nothing(control: ControlClient) -> None:
    """The settings alone are the fault."""


FAULTS: dict[str, tuple[Prepare, Mapping[str, str], str, str]] = {
    # what is wrong: how it comes about, with which settings, the check that breaks, words of its line
    "wrong client secret": (
        nothing,
        {"AUTH_CLIENT_SECRET": "not-the-secret"},
        "credential",
        "AADSTS7000215. Mend: AUTH_CLIENT_SECRET is wrong",
    ),
    "credential not where it is said to be": (
        nothing,
        {"AUTH_CLIENT_SECRET": "{vault}/secrets/the-apps-secret"},
        "credential",
        "There is no secret the-apps-secret in localhost:",
    ),
    "credential in a vault without a role": (
        asks("vault", "status", status=403, path="/secrets/the-apps-secret", body=NO_ROLE),
        {"AUTH_CLIENT_SECRET": "{vault}/secrets/the-apps-secret"},
        "credential",
        "Mend: Give the app's identity the role Key Vault Secrets User on localhost:",
    ),
    "unknown app": (
        nothing,
        {"AUTH_CLIENT_ID": NOWHERE_TENANT},
        "credential redirect_uri",
        "AUTH_CLIENT_ID names no app",
    ),
    "no role": (vault(role=""), {}, "vault", "may not list, read, write, delete and purge secrets"),
    "a role that only reads": (
        vault(role="Key Vault Secrets User"),
        {},
        "vault",
        "may not write, delete and purge secrets. Cause: It may list and read, as some lesser role allows. "
        f"Key Vault says ForbiddenByRbac. Mend: Give the app's identity the role {OFFICER}",
    ),
    "vault firewall": (vault(network="firewall"), {}, "vault", "Its firewall does not let this address in"),
    "private vault": (vault(network="private"), {}, "vault", "its private endpoint"),
    "no vault of that name": (
        nothing,
        {"TOKEN_VAULT_URLS": "https://no-such-vault.invalid"},
        "vault",
        "There is no host no-such-vault.invalid",
    ),
    "something else instead of the vault": (asks("vault", "wrong_type"), {}, "vault", "is no Key Vault"),
    "no identity": (
        asks("managed_identity", "status", status=400, body='{"statusCode":400,"message":"Not found"}'),
        {},
        "vault",
        "turn its managed identity on",
    ),
    "wrong redirect URI": (
        nothing,
        {"PUBLIC_BASE_URL": "http://127.0.0.1:{port}"},
        "redirect_uri",
        "AADSTS50011. Mend: Register PUBLIC_BASE_URL + /api/auth/callback",
    ),
    "unreachable authority": (
        asks("identity", "reset_before"),
        {},
        "identity_provider",
        "can't be reached. Cause: localhost:",
    ),
    "authority of no such name": (
        nothing,
        {"AUTH_AUTHORITY_HOST": "https://login.invalid"},
        "identity_provider",
        "There is no host login.invalid",
    ),
    "authority with a foreign certificate": (
        nothing,
        {"CA_BUNDLE": ""},
        "identity_provider graph vault",
        "is not one that this machine trusts",
    ),
    "authority out of order": (asks("identity", "status", status=503), {}, "identity_provider", "answers HTTP 503"),
    "wrong tenant": (
        nothing,
        {"AUTH_TENANT": NOWHERE_TENANT},
        "identity_provider",
        f"There is no tenant {NOWHERE_TENANT}",
    ),
    "Graph out of order": (asks("graph", "status", status=503), {}, "graph", "out of order"),
    "not Graph": (asks("graph", "wrong_type"), {}, "graph", "is not Microsoft Graph"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_told_apart_from_every_other(
    stack: StackProcess, control: ControlClient, doctor: Doctor, fault: str
) -> None:
    """R-01: exactly the check that is concerned breaks, in words that name cause and mend; the exit code is 1."""
    prepare, settings, checks, words = FAULTS[fault]
    theirs = await control.settings()
    known = {"port": stack.url.rpartition(":")[2], "vault": theirs["TOKEN_VAULT_URLS"]}
    given = {**theirs, **{name: value.format_map(known) for name, value in settings.items()}}
    await prepare(control)
    said = await doctor(given)
    assert set(said.of("broken")) == set(checks.split()), said
    for line in said.of("broken").values():
        assert words in line
        assert "Cause: " in line
        assert "Mend: " in line
    assert said.lines[-1] == f"{len(checks.split())} to mend"
    assert said.code == 1
    assert not any(
        secret in "\n".join(said.lines) for secret in (given["AUTH_CLIENT_SECRET"], given["IDENTITY_HEADER"])
    )


async def test_all_well_is_exit_code_0_and_leaves_nothing_behind(stack: StackProcess, control: ControlClient) -> None:
    """R-16: no secret is made but the bundle's own, nobody is signed in, and no secret is shown."""
    await control.run_timer()
    settings = await control.settings()
    said = await command({**settings, "FRONTEND_ORIGINS": "https://app.elsewhere.example"})
    assert (said.code, said.of("broken"), said.lines[-1], said.errors) == (0, {}, "nothing to mend", ""), said
    assert set(said.of("note")) == {"front_ends"}
    assert "https://app.elsewhere.example" in said.of("note")["front_ends"]
    checked = {name.split()[0] for name in said.of("ok")}
    reached = {
        "identity_provider",
        "credential",
        "redirect_uri",
        "public_address",
        "graph",
        "vault",
        "key_ring",
        "timer",
    }
    assert checked == {"settings", "clock", *reached}
    (contents,) = await control.vaults()
    assert {secret["name"] for secret in contents["secrets"]} == {"key-ring", "last-listing"}
    assert contents["deleted"] == []
    assert settings["AUTH_CLIENT_SECRET"] not in "\n".join(said.lines)


async def test_it_finds_the_settings_of_a_stack_that_runs_here(stack: StackProcess, control: ControlClient) -> None:
    port = stack.url.rpartition(":")[2]
    said = await command({}, "--local", port)
    assert (said.code, said.lines[-1], said.errors) == (0, "nothing to mend", "")
    assert "The timer has not finished a run" in said.of("note")["timer"]
    nowhere = await command({}, "--local", "1")
    assert (nowhere.code, nowhere.lines) == (2, ())
    assert "No embedded stack answers on port 1" in nowhere.errors


async def test_wrong_settings_are_all_named_and_nothing_is_asked_on_them() -> None:
    """R-01."""
    said = await command({"PUBLIC_BASE_URL": "http://notes.example", "AUTH_TENANT": "no tenant!"})
    assert said.code == 1
    assert all(line.startswith("broken  settings ") for line in said.lines[:-1])
    for name in ("AUTH_CLIENT_ID", "TOKEN_VAULT_URLS", "PUBLIC_BASE_URL", "AUTH_TENANT", "No credential"):
        assert any(name in line for line in said.lines), name


async def test_a_clock_that_is_off_is_named_with_its_limit(control: ControlClient, doctor: Doctor) -> None:
    """R-13: tokens would be refused, and nobody would think of the clock."""
    settings = await control.settings()
    await control.advance(600)
    said = await doctor(settings)
    assert {name.split()[0] for name in said.of("broken")} == {"clock"}, said
    assert all("s behind that of localhost:" in line and "300 s" in line for line in said.of("broken").values())


async def test_a_clock_that_the_demo_page_moved_is_explained(stack: StackProcess, control: ControlClient) -> None:
    """The command runs on this machine's clock: it would call its own stack's wrong without a word."""
    await control.advance(86_400)
    said = await command(await control.settings(), "--local", stack.url.rpartition(":")[2])
    assert said.lines[-1].startswith("The stack's clock was moved by 86400 s:"), said


async def test_a_public_address_that_leads_elsewhere_is_not_taken_for_ours(
    control: ControlClient, doctor: Doctor
) -> None:
    settings = await control.settings()
    graph = (await control.state())["services"]["graph"]
    said = await doctor({**settings, "PUBLIC_BASE_URL": graph})
    assert set(said.of("broken")) == {"public_address", "redirect_uri"}, said
    gone = await doctor({**settings, "PUBLIC_BASE_URL": "http://localhost:1"})
    assert "localhost:1 refuses the connection" in gone.of("broken")["public_address"]


async def test_of_several_vaults_the_one_that_is_shut_is_named(control: ControlClient, doctor: Doctor) -> None:
    settings = await control.settings()
    open_one = settings["TOKEN_VAULT_URLS"]
    said = await doctor({**settings, "TOKEN_VAULT_URLS": f"west={open_one},east=https://localhost:1"})
    assert set(said.of("broken")) == {"vault east"}
    assert {"vault west", "key_ring"} <= set(said.of("ok"))


async def test_a_managed_identity_is_tried_as_the_apps_credential(control: ControlClient, doctor: Doctor) -> None:
    """R-01: without a secret anywhere."""
    settings = {**await control.settings(), "AUTH_MANAGED_IDENTITY_CLIENT_ID": "an-identity"}
    both = await doctor(settings)
    assert both.of("ok")["credential"], both
    settings["AUTH_CLIENT_SECRET"] = "not-the-secret"
    assert "AADSTS7000215" in (await doctor(settings)).of("broken")["credential"]


async def test_health_says_the_same_behind_a_key(stack: StackProcess, control: ControlClient) -> None:
    """R-18: 503 with the finding, 200 when it is mended."""
    headers = {"x-functions-key": await control.function_key()}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def health() -> tuple[int, dict[str, object]]:
            async with http.get(f"{stack.url}/api/ops/health") as answer:
                body: dict[str, object] = await answer.json()
                return answer.status, body

        await control.vault(network="firewall")
        await control.advance(600)  # past whatever was asked before; the stack and its services share the clock
        status, body = await health()
        assert (status, body["status"]) == (503, "degraded")
        findings = body["findings"]
        assert isinstance(findings, list)
        assert [f["code"] for f in findings if f["state"] == "broken"] == ["vault_firewall"]
        await control.vault(network="open")
        calls = len(await control.calls("vault"))
        assert (await health())[0] == 503
        assert len(await control.calls("vault")) == calls  # remembered for a few seconds
        await control.advance(60)
        status, body = await health()
        assert (status, body["status"]) == (200, "ok")
