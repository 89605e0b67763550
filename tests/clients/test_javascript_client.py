"""The official Microsoft Graph JavaScript client through the pass-through: another base URL, a cookie for the token."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.clients.session import PAGE, PAGES, PICTURE, Session

type Walk = dict[str, Any]


@pytest.fixture(scope="module")
def walk(session: Session) -> Walk:
    """What each step of `walk.mjs` gave; a failed step fails the test that asks for it."""
    ran = subprocess.run(
        [npm.node(), str(Path(__file__).with_name("walk.mjs"))],
        env={
            **os.environ,
            **session.environment(),
            "NODE_MODULES": str(npm.modules()),
            "PAGE": PAGE,
            "PICTURE": base64.b64encode(PICTURE).decode(),
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    outcome: Walk = json.loads(ran.stdout)
    return outcome


def value(walk: Walk, step: str) -> Any:
    assert "failed" not in walk[step], walk[step]["failed"]
    return walk[step]["value"]


def test_it_lists_notebooks_by_name(walk: Walk, session: Session) -> None:
    """R-09."""
    assert value(walk, "list") == sorted(session.notebooks)[:5]


def test_it_pages_through_250_pages_by_next_links(walk: Walk) -> None:
    """R-09: links lead back through us, so the client follows them with its own cookie."""
    paged = value(walk, "paged")
    assert paged["titles"] == [f"Page {number:03}" for number in range(PAGES)]
    assert paged["links"] == 12


def test_it_creates_a_page_with_an_image_and_reads_it_back(walk: Walk, session: Session) -> None:
    """R-09."""
    created = value(walk, "created")
    assert created["title"] == "Made by a client"
    assert created["contentUrl"].startswith(f"{session.graph}/v1.0/")
    html = value(walk, "read")
    assert "<p>Hello</p>" in html
    assert f'src="{session.graph}/v1.0/' in html


def test_it_downloads_the_image_byte_for_byte(walk: Walk) -> None:
    """R-09."""
    assert base64.b64decode(value(walk, "image")) == PICTURE


def test_it_changes_and_deletes_a_page(walk: Walk) -> None:
    """R-09."""
    assert "<p>Added</p>" in value(walk, "changed")
    assert value(walk, "deleted") == 404


def test_it_reads_onenote_s_errors_as_graph_s_own(walk: Walk) -> None:
    """R-15: code and request id; where we refuse, the client hands our problem on as the error's `body`."""
    missing = value(walk, "missing")
    assert (missing["name"], missing["status"], missing["code"]) == ("GraphError", 404, "20102")
    assert missing["requestId"]
    elsewhere = value(walk, "elsewhere")
    assert (elsewhere["status"], elsewhere["problem"]["code"]) == (400, "path_not_allowed")


def test_it_sends_a_batch(walk: Walk) -> None:
    """R-09: each answer under its id; with a path that is not OneNote's, nothing of it is sent."""
    batch = value(walk, "batch")
    assert batch["1"]["status"] == 200
    assert len(batch["1"]["body"]["value"]) == 2
    assert (batch["2"]["status"], batch["2"]["body"]["error"]["code"]) == (404, "20102")
    refused = value(walk, "batchElsewhere")
    assert (refused["status"], refused["problem"]["code"]) == (400, "path_not_allowed")
