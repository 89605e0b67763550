"""Owns the page that shows the OpenAPI document to people: rendered here, without scripts, with nothing from elsewhere.

It shows what the document says and nothing else; a test counts that nothing is left out.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from shared.functions.http import Answer

type Json = Mapping[str, Any]

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1a19;--dim:#605e5c;--paper:#fff;--soft:#f3f2f1;--line:#d2d0ce;--accent:#6b2fa0}
@media (prefers-color-scheme:dark){:root{--ink:#f3f2f1;--dim:#b3b0ad;--paper:#1b1a19;--soft:#2b2a29;--line:#484644;--accent:#c9a2ea}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
a{color:var(--accent)}
header,nav,main{max-width:60rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.3rem;margin:3rem 0 .25rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;line-height:1.4;margin:0}
h4{font-size:.8rem;margin:1.1rem 0 .3rem;color:var(--dim);text-transform:uppercase;letter-spacing:.05em}
p{margin:.4rem 0}
nav ul{list-style:none;padding:0;margin:.2rem 0 .8rem;columns:24rem}
nav li{padding:.15rem 0;break-inside:avoid}
nav h2{font-size:1rem;margin:1rem 0 0;padding:0;border:0}
article{margin:1rem 0;padding:1rem 1.1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--soft)}
article:target{outline:3px solid var(--accent)}
code,pre{font:.88em/1.5 ui-monospace,SFMono-Regular,Consolas,monospace}
.method{display:inline-block;min-width:4.3rem;font-weight:700;color:var(--accent)}
.note{color:var(--dim);font-size:.9rem}
dl{margin:0}
dt{margin-top:.5rem}
dd{margin:0 0 0 1.1rem}
pre{margin:.4rem 0;padding:.7rem .8rem;overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:.4rem;overflow-wrap:normal}
summary{padding:.3rem 0;cursor:pointer;font-size:.9rem}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:36rem){article{padding:.8rem .75rem}header,nav,main{padding-left:.75rem;padding-right:.75rem}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_METHODS = ("get", "post", "patch", "put", "delete")


def reference_page(document: Json) -> Answer:
    """The OpenAPI 3.1 document as one HTML page."""
    html = "".join(_Page(document).html())
    return Answer(200, html, "text/html", {"Content-Security-Policy": _POLICY, "Content-Language": "en"})


class _Page:
    def __init__(self, document: Json) -> None:
        self._document = document

    def html(self) -> Iterator[str]:
        info = self._document["info"]
        yield (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}: routes</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
            f"<style>{_STYLE}</style></head><body><header><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
            f"<p>{_prose(info['summary'])}</p><p>{_prose(info['description'])}</p>"
            '<p class="note">For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p></header>'
        )
        yield from self._contents()
        yield "<main>"
        for tag in self._document["tags"]:
            yield f'<h2 id="{_id("tag", tag["name"])}">{_heading(tag["name"])}</h2><p>{_prose(tag["description"])}</p>'
            for path, method, operation in self._operations(tag["name"]):
                yield from self._operation(path, method, operation)
        yield '<h2 id="security">Who may call</h2>'
        for name, scheme in self._document["components"]["securitySchemes"].items():
            yield (
                f'<article id="{_id("security", name)}"><h3>{_title(name)}</h3>'
                f"<p>{_sent(scheme)}. {_prose(scheme['description'])}</p></article>"
            )
        yield '<h2 id="schemas">Schemas</h2>'
        for name, schema in self._document["components"]["schemas"].items():
            yield f'<article id="{_id("schema", name)}"><h3>{escape(name)}</h3>{_about(schema)}{_schema(schema)}</article>'
        yield "</main></body></html>"

    def _operations(self, tag: str) -> Iterator[tuple[str, str, Json]]:
        for path, item in self._document["paths"].items():
            for method in _METHODS:
                if method in item and tag in item[method]["tags"]:
                    yield path, method, {**item[method], "in_path": item.get("parameters", ())}

    def _contents(self) -> Iterator[str]:
        yield '<nav aria-label="Contents">'
        for tag in self._document["tags"]:
            links = [
                f'<li><a href="#{operation["operationId"]}"><code>{method.upper()} {escape(path)}</code></a></li>'
                for path, method, operation in self._operations(tag["name"])
            ]
            if links:
                yield f"<h2>{_heading(tag['name'])}</h2><ul>{''.join(links)}</ul>"
        yield '<p><a href="#security">Who may call</a> · <a href="#schemas">Schemas</a></p></nav>'

    def _operation(self, path: str, method: str, operation: Json) -> Iterator[str]:
        yield (
            f'<article id="{operation["operationId"]}"><h3><code><span class="method">{method.upper()}</span> '
            f"{escape(path)}</code></h3><p><strong>{_prose(operation['summary'])}</strong></p>{_about(operation)}"
            f'<p class="note">{_needs(operation["security"])}</p>'
        )
        parameters = [self._resolved(p) for p in (*operation["in_path"], *operation.get("parameters", ()))]
        if parameters:
            yield "<h4>Parameters</h4><dl>"
            for parameter in parameters:
                must = ", required" if parameter.get("required") else ""
                yield (
                    f'<dt><code>{escape(parameter["name"])}</code> <span class="note">{parameter["in"]}{must}; '
                    f"{_type(parameter['schema'])}</span></dt><dd>{_about(parameter)}{_example(parameter)}</dd>"
                )
            yield "</dl>"
        if body := self._resolved(operation.get("requestBody", {})):
            yield f"<h4>Body</h4>{_about(body)}{self._content(body['content'])}"
        yield "<h4>Answers</h4><dl>"
        for status, reference in operation["responses"].items():
            response = self._resolved(reference)
            headers = ", ".join(f"<code>{escape(name)}</code>" for name in response.get("headers", ()))
            yield (
                f"<dt><code>{escape(status)}</code> {_prose(response['description'])}</dt><dd>"
                + (f'<p class="note">Headers: {headers}</p>' if headers else "")
                + f"{self._content(response.get('content', {}))}</dd>"
            )
        yield "</dl></article>"

    def _content(self, content: Json) -> str:
        shown = []
        for media, what in content.items():
            kind = f": {_type(what['schema'])}" if "schema" in what else ""
            shown.append(f'<p class="note"><code>{escape(media)}</code>{kind}</p>')
            named = {name: one["value"] for name, one in what.get("examples", {}).items()}
            for name, value in (named or ({"example": what["example"]} if "example" in what else {})).items():
                text = escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)
                shown.append(f"<details><summary>{_title(name)}</summary><pre>{text}</pre></details>")
        return "".join(shown)

    def _resolved(self, value: Json) -> Json:
        if "$ref" not in value:
            return value
        target: Any = self._document
        for step in value["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return self._resolved(target)


def _needs(security: list[Json]) -> str:
    names = [f'<a href="#{_id("security", name)}">{_title(name).lower()}</a>' for choice in security for name in choice]
    if not names:
        return "For anybody."
    return ("With or without " if {} in security else "With ") + "the " + " or the ".join(names) + "."


def _sent(scheme: Json) -> str:
    return f"In the {escape(scheme['in'])} <code>{escape(scheme['name'])}</code>"


def _schema(schema: Json) -> str:
    """A schema of its own: its properties, or in one line what it is."""
    if "allOf" in schema:
        return "".join(map(_schema, schema["allOf"]))
    properties = schema.get("properties")
    if not properties:
        return f"<p>{_type(schema)}</p>"
    shown = []
    for name, inner in properties.items():
        must = "" if name in schema.get("required", ()) else "optional; "
        shown.append(
            f'<dt><code>{escape(name)}</code> <span class="note">{must}{_type(inner)}</span></dt><dd>{_about(inner)}</dd>'
        )
    return f"<dl>{''.join(shown)}</dl>"


def _type(schema: Json) -> str:
    """In words, for a line: `string, uri-reference, at most 600`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_id("schema", name)}">{escape(name)}</a>'
    for word, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if word in schema:
            return joint.join(map(_type, schema[word]))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        words = " · ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    elif schema.get("type") == "array":
        words = f"list of {_type(schema['items'])}"
    elif schema.get("properties"):
        words = "object with " + ", ".join(
            f"<code>{escape(name)}</code> ({_type(inner)})" for name, inner in schema["properties"].items()
        )
    else:
        kinds = schema.get("type", "anything")
        words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    more = [escape(str(schema[name])) for name in ("format",) if name in schema]
    more += [f"matches <code>{escape(schema['pattern'])}</code>"] if "pattern" in schema else []
    for name, text in (
        ("minimum", "at least {}"),
        ("maximum", "at most {}"),
        ("minLength", "{} characters or more"),
        ("maxLength", "{} characters or fewer"),
        ("minItems", "{} or more"),
        ("default", "<code>{}</code> by default"),
    ):
        more += [text.format(escape(str(schema[name])))] if name in schema else []
    return ", ".join((words, *more))


def _about(what: Json) -> str:
    return f"<p>{_prose(what['description'])}</p>" if "description" in what else ""


def _example(what: Json) -> str:
    return f'<p class="note">For example <code>{escape(str(what["example"]))}</code></p>' if "example" in what else ""


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _title(name: str) -> str:
    """`sessionCookie` as `Session cookie`."""
    words = re.sub(r"(?<=[a-z])[A-Z](?=[a-z])", lambda match: f" {match[0].lower()}", name)
    return escape(words[:1].upper() + words[1:])


def _heading(tag: str) -> str:
    return escape(tag[:1].upper() + tag[1:])


def _id(kind: str, name: str) -> str:
    return f"{kind}-{escape(name)}"
