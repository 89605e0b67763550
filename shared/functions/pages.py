"""Owns the pages that the functions themselves show: the error page and the sign-out question.

They work without scripts, on a phone, by keyboard and in dark mode, and show no text that came in the address.
"""

import base64
import hashlib
from html import escape

from shared.functions.http import Answer
from shared.functions.texts import LABELS, text_for

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1a19;--paper:#fff;--soft:#f3f2f1;--line:#d2d0ce;--accent:#6b2fa0;--on:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#f3f2f1;--paper:#1b1a19;--soft:#2b2a29;--line:#484644;--accent:#c9a2ea;--on:#1b1a19}}
*{box-sizing:border-box}
body{margin:0;font:1rem/1.6 system-ui,sans-serif;color:var(--ink);background:var(--soft)}
main{max-width:34rem;margin:8vh auto;padding:2rem 1.5rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .75rem}
p{margin:0 0 1.25rem}
.go{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0 0}
.go a,.go button{font:inherit;padding:.6rem 1.1rem;border-radius:.4rem;border:1px solid var(--accent);text-decoration:none;cursor:pointer}
.go :first-child{background:var(--accent);color:var(--on)}
.go a+a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
details{margin-top:1.5rem;font-size:.9rem;overflow-wrap:anywhere}
summary{padding:.3rem 0;cursor:pointer}
dt{font-weight:600}dd{margin:0 0 .5rem}
@media (max-width:36rem){main{margin:0;min-height:100vh;border:0;border-radius:0}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


_TOLD_WITH_REFERENCE = ("misconfigured", "internal_error")
"""Their texts ask for the reference, so it shows without a click."""


def error_page(
    code: str, ref: str, *, language: str, again_url: str, back_url: str, only: str | None = None, status: int = 200
) -> Answer:
    """`code` and `ref` are checked by the caller; addresses are checked against the allowed origins.

    `only` is the one kind of account that may sign in, where it is one.
    """
    text, label = text_for(code, language, only=only), LABELS[language]
    asked_for = " open" if ref and code in _TOLD_WITH_REFERENCE else ""
    body = f"""<h1>{escape(text.title)}</h1>
<p>{escape(text.body)}</p>
<div class="go"><a href="{escape(again_url)}">{escape(label["again"])}</a><a href="{escape(back_url)}">{escape(label["back"])}</a></div>
<details{asked_for}><summary>{escape(label["details"])}</summary>
<dl><dt>{escape(label["code"])}</dt><dd>{escape(code)}</dd><dt>{escape(label["ref"])}</dt><dd>{escape(ref)}</dd></dl></details>"""
    return _page(text.title, body, language=language, status=status, form_action="'none'")


def sign_out_page(*, language: str, action: str, provider_origin: str) -> Answer:
    label = LABELS[language]
    body = f"""<h1>{escape(label["sign_out_title"])}</h1>
<p>{escape(label["sign_out_body"])}</p>
<form class="go" method="post" action="{escape(action)}"><button type="submit">{escape(label["sign_out"])}</button></form>"""
    # form-action also blocks the redirect that follows the form, so the provider is named.
    allowed = f"'self' {provider_origin}".strip()
    return _page(label["sign_out_title"], body, language=language, status=200, form_action=allowed)


def _page(title: str, body: str, *, language: str, status: int, form_action: str) -> Answer:
    html = f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<style>{_STYLE}</style></head><body><main>
{body}
</main></body></html>"""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return Answer(status, html, "text/html", {"Content-Security-Policy": policy, "Content-Language": language})
