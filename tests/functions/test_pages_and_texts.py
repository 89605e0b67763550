"""What a person reads: whole in every language, plain, and safe whatever came in the address (R-13, R-14)."""

import ast
import html
import re
from pathlib import Path

import pytest

from shared import errors, usecases, verdicts
from shared.functions import pages
from shared.functions.texts import LABELS, TEXTS, language_of, text_for

SHARED = Path(errors.__file__).parent
PROGRAMS_ONLY = {
    "invalid_batch",
    # Answers of routes where no person navigates to.
    "path_not_allowed",
    "length_required",
    "token_not_exposed",
    "operator_tokens_off",
    "account_unknown",
}
TO_A_PERSON = {"SignInFailed", "BadRequest", "Forbidden", "ReauthRequired"}


def raised_codes() -> set[str]:
    """Every code that stands as a literal where an error is made that can reach a person."""
    codes: set[str] = set()
    for path in SHARED.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TO_A_PERSON):
                continue
            if node.args and isinstance(node.args[0], ast.Constant):
                codes.add(str(node.args[0].value))
    return codes


def test_the_codes_are_found_where_they_are_raised() -> None:
    """The next test is worth something only if this one sees them."""
    assert usecases
    assert {"attempt_spent", "scope_not_allowed", "forbidden_origin", "claims_required"} <= raised_codes()
    assert len(raised_codes()) >= 20


def test_every_code_that_can_reach_a_person_has_a_text() -> None:
    """R-14: raised codes, reasons of verdicts, and what a failing dependency makes of a sign-in."""
    reasons = {reason for reason, _ in verdicts._PERSON.values()}
    reasons |= {reason for reason, _ in (*verdicts._SUBERRORS.values(), *verdicts._PERSON_ERRORS.values())}
    dependencies = {"unavailable", "provider_unavailable", "store_unavailable", "misconfigured", "internal_error"}
    wanted = (raised_codes() | reasons | dependencies) - PROGRAMS_ONLY
    assert wanted - set(TEXTS["en"]) == set()


def test_every_language_holds_the_same_keys() -> None:
    """R-14."""
    for table in (TEXTS, LABELS):
        keys = {language: set(texts) for language, texts in table.items()}
        assert set(table) == set(TEXTS)
        assert all(have == keys["en"] for have in keys.values())


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_texts_are_plain_words(language: str) -> None:
    """R-14: a title without a full stop, a body of whole sentences, no codes, no jargon."""
    for code, text in TEXTS[language].items():
        assert text.title
        assert not text.title.endswith("."), code
        assert text.body.endswith("."), code
        assert not re.search(r"AADSTS|OAuth|HTTP|_|<|>|\d{3}", text.title + text.body), code


def test_languages_differ() -> None:
    """R-14: nothing was left untranslated."""
    assert not [code for code in TEXTS["en"] if TEXTS["en"][code] == TEXTS["de"][code]]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR, de;q=0.5", "de"),
        ("EN-us", "en"),
        ("fr, ja", "en"),
        ("", "en"),
        (";;;,,,", "en"),
        ("d" * 10_000, "en"),
    ],
)
def test_the_language_is_the_first_one_that_there_are_texts_in(header: str, language: str) -> None:
    """R-14."""
    assert language_of(header) == language


def test_an_unknown_code_has_a_text_all_the_same() -> None:
    """R-14."""
    assert text_for("never-heard-of", "de") == TEXTS["de"]["internal_error"]


# Pages ------------------------------------------------------------------------------------------------------


def error_page(code: str = "access_denied", *, language: str = "en", again: str = "/again", back: str = "/back") -> str:
    answer = pages.error_page(code, "ref-1", language=language, again_url=again, back_url=back, only=None)
    assert isinstance(answer.body, str)
    return answer.body


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("code", sorted(TEXTS["en"]))
def test_the_error_page_says_what_happened_and_where_to_go(code: str, language: str) -> None:
    """R-14: title, text, two ways on, code and reference for the operator."""
    page = html.unescape(error_page(code, language=language))
    text = text_for(code, language)
    for words in (text.title, text.body, 'href="/again"', 'href="/back"', code, "ref-1", f'<html lang="{language}">'):
        assert words in page


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize("code", ["misconfigured", "internal_error"])
def test_a_text_that_asks_for_the_reference_shows_it(code: str, language: str) -> None:
    """R-14: without a click, where there is one. The same text goes into the fragment, where nothing stands below."""
    assert "<details open>" in error_page(code, language=language)
    assert LABELS[language]["ref"].lower() in text_for(code, language).body.lower()
    without = pages.error_page(code, "", language=language, again_url="/a", back_url="/b", only=None)
    assert "<details>" in str(without.body)


def test_pages_need_no_script_and_allow_none() -> None:
    """R-14, R-16."""
    for answer in (
        pages.error_page("access_denied", "r", language="en", again_url="/a", back_url="/b", only=None),
        pages.sign_out_page(language="en", action="/api/auth/logout", provider_origin="https://login.example"),
    ):
        assert isinstance(answer.body, str)
        assert not re.search(r"<script|javascript:| on\w+=", answer.body, re.IGNORECASE)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy


def test_what_comes_from_outside_is_escaped() -> None:
    """R-14: addresses are checked before; this is the second fence."""
    page = error_page(again='/"><script>alert(1)</script>', back="/'onmouseover='x")
    assert "<script>" not in page
    assert "'onmouseover='" not in page


def test_the_sign_out_page_asks_before_it_acts_and_names_the_provider_for_the_way_on() -> None:
    """R-12: form-action also blocks the redirect that follows the form."""
    answer = pages.sign_out_page(
        language="de", action="/api/auth/logout?x=1&y=2", provider_origin="https://login.example"
    )
    assert '<form class="go" method="post" action="/api/auth/logout?x=1&amp;y=2">' in str(answer.body)
    assert "form-action 'self' https://login.example;" in answer.headers["Content-Security-Policy"]
    unknown = pages.sign_out_page(language="de", action="/x", provider_origin="")
    assert "form-action 'self';" in unknown.headers["Content-Security-Policy"]
