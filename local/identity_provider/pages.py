"""Owns the provider's HTML: small pages with labelled buttons that need no script. Decides nothing."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from aiohttp import web

from local.identity_provider.users import User

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --accent: #7719aa; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 30rem; padding: 1rem; }
h1 { font-size: 1.4rem; }
ul.plain { list-style: none; padding: 0; }
ul.plain li { margin: .6rem 0; }
small, .note { opacity: .8; }
.error { border-left: .3rem solid #c33; padding: .2rem .8rem; }
button { font: inherit; padding: .6rem 1rem; min-height: 2.75rem; border: 1px solid var(--line);
  border-radius: .4rem; cursor: pointer; background: Canvas; color: CanvasText; }
button.main { background: var(--accent); border-color: var(--accent); color: #fff; }
button.wide { width: 100%; text-align: left; }
button:focus-visible, a:focus-visible, input:focus-visible { outline: .2rem solid Highlight; outline-offset: 2px; }
input { font: inherit; padding: .6rem; width: 100%; box-sizing: border-box; border: 1px solid var(--line);
  border-radius: .4rem; margin: .2rem 0 .6rem; }
fieldset { border: 0; padding: 0; margin: 1.5rem 0 0; }
iframe { display: none; }
footer { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem; }
"""
_SUBMIT = "document.forms[0].submit()"
_MOVE_ON = "addEventListener('load', () => location.replace(document.getElementById('on').href))"
_MOVE_ON_AFTER_S = 3  # without scripts; hidden frames have loaded by then


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# No form-action: it would also stop the redirects that follow, and apps send people on to addresses unknown here.
_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SUBMIT)} {_source(_MOVE_ON)}; "
    "img-src data:; frame-src http: https:; base-uri 'none'; frame-ancestors 'none'"
)


def page(
    title: str, *body: str, status: int = 200, head: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    """`title` is text, `body` and `head` are HTML."""
    html = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">{head}
<style>{_STYLE}</style></head>
<body><main><h1>{escape(title)}</h1>
{"".join(body)}
</main><footer><small>Local identity provider for development. Its accounts are made up.</small></footer></body></html>
"""
    safe = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",  # addresses of these pages can hold codes and hints
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(
        text=html, content_type="text/html", charset="utf-8", status=status, headers=safe | dict(headers or {})
    )


def account_picker(
    *, action: str, context: str, users: Sequence[User], prefilled: str, problem: str | None
) -> web.Response:
    """One button for each account, and a form for a username."""
    kept = f'<input type="hidden" name="context" value="{escape(context)}">'
    choices = "".join(
        f'<li><button class="wide" name="username" value="{escape(user.username)}">Sign in as '
        f"{escape(user.label)}</button><br><small>{escape(user.username)}"
        f"{'' if user.licensed else ', without a OneNote licence'}</small></li>"
        for user in users
    )
    return page(
        "Choose an account",
        f'<p class="error" role="alert">{escape(problem)}</p>' if problem else "",
        f'<form method="post" action="{escape(action)}">{kept}<ul class="plain">{choices}</ul></form>'
        if users
        else "<p>No test account fits this request.</p>",
        f'<form method="post" action="{escape(action)}">{kept}<fieldset>'
        '<label for="username">Or type a username</label>'
        f'<input id="username" name="username" value="{escape(prefilled)}" autocomplete="username" '
        'inputmode="email" autocapitalize="none" spellcheck="false" required>'
        '<button class="main">Sign in</button></fieldset></form>',
    )


def consent(*, action: str, context: str, user: User, permissions: Iterable[str]) -> web.Response:
    """What the app asks for, in words, with Accept and Cancel."""
    listed = "".join(f"<li>{escape(words)}</li>" for words in permissions)
    return page(
        "Permissions requested",
        f"<p>{escape(user.name)} (<span>{escape(user.username)}</span>), this app would like to:</p><ul>{listed}</ul>",
        '<p class="note">Accept only if you trust the app. You can take this back on the page of '
        '<a href="/consent" target="_blank" rel="noopener">permissions given to apps</a>.</p>',
        f'<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="context" value="{escape(context)}">'
        '<button class="main" name="decision" value="accept">Accept</button> '
        '<button name="decision" value="cancel">Cancel</button></form>',
    )


def form_post(action: str, fields: Mapping[str, str]) -> web.Response:
    """OAuth 2.0 Form Post Response Mode §2; the button is for browsers without scripts."""
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return page(
        "Back to the app",
        f'<form method="post" action="{escape(action)}">{inputs}<button class="main">Continue</button></form>'
        f"<script>{_SUBMIT}</script>",
    )


def problem(title: str, text: str, *, status: int = 400) -> web.Response:
    return page(title, f'<p class="error" role="alert">{escape(text)}</p>', status=status)


def signed_out(frames: Iterable[str], onward: str | None) -> web.Response:
    """Hidden frames tell the apps (OpenID Connect Front-Channel Logout 1.0 §3), then the page moves on."""
    hidden = "".join(f'<iframe src="{escape(url)}" title="Signing out of an app"></iframe>' for url in frames)
    if onward is None:
        return page("You signed out", "<p>It's a good idea to close this window.</p>", hidden)
    return page(
        "You signed out",
        f'<p><a id="on" href="{escape(onward)}">Continue</a></p>',
        hidden,
        f"<script>{_MOVE_ON}</script>",
        head=f'<meta http-equiv="refresh" content="{_MOVE_ON_AFTER_S};url={escape(onward)}">',
    )


def start() -> web.Response:
    return page(
        "Local identity provider",
        "<p>Apps send people here to sign in. There is nothing to do on this page itself.</p>",
        '<p><a href="/consent">Permissions given to apps</a></p>',
    )


def given_consents(given: Iterable[tuple[User, Sequence[str]]]) -> web.Response:
    """Every consent there is, each with its Revoke button."""
    entries = "".join(
        f"<li><strong>{escape(user.label)}</strong> <small>{escape(user.username)}</small>"
        f"<ul>{''.join(f'<li>{escape(words)}</li>' for words in permissions)}</ul>"
        f'<form method="post" action="/consent/revoke"><button name="username" value="{escape(user.username)}">'
        f"Revoke {escape(user.label)}</button></form></li>"
        for user, permissions in given
    )
    listed = f'<ul class="plain">{entries}</ul>' if entries else "<p>Nobody has given any.</p>"
    return page("Permissions given to apps", listed)
