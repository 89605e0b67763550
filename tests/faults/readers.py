"""Owns what each reader must find after a fault: the person an answer, the operator a log line, nobody a secret."""

import json
import logging
import re
from typing import Any

import pytest

from tests.faults.matrix import OUTSIDE, RETRY_AFTER_S, Means, Step, Trouble, code_of, meaning
from tests.faults.world import APP, World
from tests.functions.bundle import Reply

MENDS = {
    "vault": "Give the app's identity the role Key Vault Secrets Officer",
    "identity": "managed identity on, check AZURE_CLIENT_ID",
    "assertion": "AUTH_MANAGED_IDENTITY_CLIENT_ID names no identity",
    "provider": "AUTH_",  # the setting to check
}
CAUSES = {
    "vault": re.compile("(read|write|list|mark|note|delete|purge) .*: "),
    "identity": re.compile("managed identity: |no answer within"),
    "provider": re.compile("(token endpoint|identity provider metadata|signing keys)"),
    "graph": re.compile("Microsoft Graph: "),
}
"""What tells the operator where to look."""


def page_says(reply: Reply, code: str, return_to: str | None = None) -> None:
    """R-14: a browser is sent to the page with that code, the same code in the fragment, and the way back."""
    assert reply.status == 302
    assert reply.location.startswith(f"{APP}/api/auth/error?"), reply.location
    assert f"code={code}&" in reply.location
    assert reply.fragment["error"] == code
    assert reply.fragment["error_description"]
    assert OUTSIDE not in reply.location
    if return_to:
        assert "return_to=" in reply.location


def problem_says(reply: Reply, step: Step, trouble: Trouble, code: str) -> None:
    """RFC 9457: 503 with that code, and when to try again where trying again is the mend."""
    assert (reply.status, reply.json["code"]) == (503, code), reply.body
    assert OUTSIDE not in reply.body.decode()
    if meaning(step, trouble) is Means.WAIT:
        wait_s = int(reply.headers["retry-after"])
        assert 1 <= wait_s <= 60
        if trouble.name == "429_retry_after" and step.service != "identity":
            assert wait_s == RETRY_AFTER_S


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, dict[str, Any]]]:
    """The bundle's own log lines with their levels."""
    return [
        (record.levelno, json.loads(record.getMessage())) for record in caplog.records if record.name == "onenote_auth"
    ]


def log_says(caplog: pytest.LogCaptureFixture, world: World, step: Step, trouble: Trouble) -> None:
    """The operator finds a cause, and a mend where it is theirs; nobody finds a secret."""
    secrets_stay_secret(caplog, world)
    loud = [fields for level, fields in lines(caplog) if level >= logging.WARNING]
    if code_of(step, trouble) is None:
        assert loud == []
    elif meaning(step, trouble) is Means.REFUSED:
        mends = [str(fields.get("mend") or fields.get("cause") or fields.get("causes")) for fields in loud]
        wanted = MENDS["assertion" if "AzureADTokenExchange" in step.path else step.service]
        assert any(wanted in mend for mend in mends), loud
    else:
        causes = [str(fields.get("cause") or fields.get("causes") or "") for fields in loud]
        assert any(CAUSES[step.service].search(cause) for cause in causes), loud


def secrets_stay_secret(caplog: pytest.LogCaptureFixture, world: World) -> None:
    """R-16."""
    text = caplog.text + "".join(str(record.exc_info or "") for record in caplog.records)
    assert OUTSIDE not in str(lines(caplog))
    assert [secret[:12] for secret in world.secrets() if secret in text] == []
