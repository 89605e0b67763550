"""Owns reading what an HTML page does by itself or offers: forms, frames, a refresh. Knows no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin


@dataclass(frozen=True)
class Button:
    """A submit button; `text` is what a person reads on it."""

    name: str
    value: str
    text: str


@dataclass(frozen=True)
class Form:
    """A form of a page: where it goes, what it sends, and its buttons."""

    action: str
    method: str
    fields: tuple[tuple[str, str], ...]
    buttons: tuple[Button, ...]

    def has(self, name: str) -> bool:
        return any(field_name == name for field_name, _ in self.fields)

    def button(self, value_or_text: str) -> Button | None:
        wanted = value_or_text.lower()
        return next((b for b in self.buttons if wanted in (b.value.lower(), b.text.lower())), None)

    @property
    def submits_itself(self) -> bool:
        """An authorization answer by form_post: `state` with a code, token or error (RFC 6749 §4.1.2)."""
        answer = any(self.has(name) for name in ("code", "error", "id_token", "access_token"))
        return self.method == "post" and self.has("state") and answer


@dataclass(frozen=True)
class Contents:
    """`frames` are the addresses of its iframes, `refresh` is where it moves on to by itself."""

    forms: tuple[Form, ...] = ()
    frames: tuple[str, ...] = ()
    refresh: str | None = None


class _Parser(HTMLParser):
    """Forms with their fields in order (HTML Living Standard §4.10.21, as far as needed), frames and refresh."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._form: tuple[str, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self._buttons: list[Button] = []
        self._button: tuple[str, str] | None = None
        self._button_text = ""
        self.forms: list[Form] = []
        self.frames: list[str] = []
        self.refresh: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._base, given.get("action", "") or self._base)
            self._form = (action, given.get("method", "get").lower())
            self._fields, self._buttons = [], []
        elif tag == "iframe":
            self.frames.append(urljoin(self._base, given.get("src", "")))
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            _, has_url, url = given.get("content", "").partition("url=")
            self.refresh = urljoin(self._base, url) if has_url else None
        elif self._form is None:
            return
        elif tag == "input":
            self._input(given, "checked" in given)
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._button, self._button_text = (given.get("name", ""), given.get("value", "")), ""

    def _input(self, given: Mapping[str, str], checked: bool) -> None:
        kind = given.get("type", "text").lower()
        name = given.get("name", "")
        if kind == "submit":
            self._buttons.append(Button(name, given.get("value", ""), given.get("value", "")))
        elif (
            name and kind not in ("button", "reset", "image", "file") and (checked or kind not in ("checkbox", "radio"))
        ):
            self._fields.append((name, given.get("value", "on" if checked else "")))

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button_text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None:
            self._buttons.append(Button(*self._button, " ".join(self._button_text.split())))
            self._button = None
        elif tag == "form" and self._form is not None:
            action, method = self._form
            self.forms.append(Form(action, method, tuple(self._fields), tuple(self._buttons)))
            self._form = None


def read_page(html: str, base: str) -> Contents:
    """What a page at `base` holds, addresses made absolute."""
    parser = _Parser(base)
    parser.feed(html)
    parser.close()
    return Contents(tuple(parser.forms), tuple(parser.frames), parser.refresh)
