"""Owns the query options of a listing: order, filter, page, choice of properties, count. Pure.

Sources: OData 4.01 URL conventions §5.1; "Get OneNote content and structure with Microsoft Graph" (defaults, limits).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from local.graph.rules import OneNoteError

Json = dict[str, Any]

PAGE = 20
PAGE_MAX = 100

_KNOWN = {"$top", "$skip", "$orderby", "$select", "$expand", "$count", "$filter"}
_NUMBER = re.compile(r"[0-9]{1,9}")
_COMPARISON = re.compile(r"(?P<by>tolower\((?P<lower>\w+)\)|\w+) (?P<how>eq|ne) '(?P<text>(?:[^']|'')*)'")
_TIME = re.compile(r"(?P<by>(?P<lower>)\w+DateTime) (?P<how>gt|ge|lt|le) (?P<text>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_PART = re.compile(
    r"(?P<how>contains|startswith|endswith)\((?P<by>tolower\((?P<lower>\w+)\)|\w+),\s*'(?P<text>(?:[^']|'')*)'\)"
)
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda value, text: value == text,
    "ne": lambda value, text: value != text,
    "contains": lambda value, text: text in value,
    "startswith": str.startswith,
    "endswith": str.endswith,
    # Of times, as they are written here: alike, so that their order is that of their texts.
    "gt": str.__gt__,
    "ge": str.__ge__,
    "lt": str.__lt__,
    "le": str.__le__,
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a request asks of a listing. `orderby` is (property, descending) pairs; no `select`: everything."""

    top: int = PAGE
    skip: int = 0
    orderby: tuple[tuple[str, bool], ...] = ()
    select: tuple[str, ...] = ()
    expand: frozenset[str] = frozenset()
    count: bool = False
    filter: str = ""


def parse(query: Mapping[str, str], *, expandable: frozenset[str] = frozenset()) -> Options:
    """Raises OneNoteError for what the service does not take; options without a `$` are none of ours."""
    unknown = sorted(name for name in query if name.startswith("$") and name not in _KNOWN)
    if unknown or "search" in query:
        name = unknown[0] if unknown else "search"
        raise OneNoteError(400, "20100", f"The query parameter '{name}' is not supported.")
    top = _number(query, "$top", PAGE)
    if top > PAGE_MAX:
        raise OneNoteError(400, "20129", f"$top is at most {PAGE_MAX}.")
    expand = frozenset(_names(query.get("$expand", "")))
    if not expand <= expandable:
        raise OneNoteError(400, "20108", f"$expand takes {', '.join(sorted(expandable)) or 'nothing'} here.")
    count = query.get("$count", "false").lower()
    if count not in ("true", "false"):
        raise OneNoteError(400, "20108", "$count is true or false.")
    return Options(
        top=top,
        skip=_number(query, "$skip", 0),
        orderby=tuple(_direction(term) for term in _names(query.get("$orderby", ""))),
        select=tuple(_names(query.get("$select", ""))),
        expand=expand,
        count=count == "true",
        filter=query.get("$filter", ""),
    )


def apply(rows: Sequence[Json], options: Options) -> tuple[list[Json], int]:
    """One page of `rows` and how many rows there are in all. Names are case-sensitive. Raises OneNoteError."""
    found = [row for row in rows if _fits(row, options.filter)]
    for name, descending in reversed(options.orderby):
        if any(not isinstance(row.get(name), str) for row in rows):
            raise OneNoteError(400, "20108", f"'{name}' is no property to order by.")
        found.sort(key=lambda row: str(row[name]), reverse=descending)
    page = found[options.skip : options.skip + options.top]
    return [choose(row, options) for row in page], len(found)


def choose(row: Json, options: Options) -> Json:
    """The properties that were asked for; what was expanded comes along. Raises OneNoteError."""
    if not options.select:
        return row
    unknown = [name for name in options.select if name not in row]
    if unknown:
        raise OneNoteError(400, "20108", f"Could not find a property named '{unknown[0][:50]}'.")
    return {name: value for name, value in row.items() if name in options.select or name in options.expand}


def next_link(address: str, query: Mapping[str, str], options: Options) -> str:
    """The address of the following page: the same query, further on."""
    following = {**query, "$skip": str(options.skip + options.top), "$top": str(options.top)}
    return f"{address}?{urlencode(following, safe='$', quote_via=quote)}"


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise OneNoteError(400, "20108", f"{name} is a number of 0 or more.")
    return int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _direction(term: str) -> tuple[str, bool]:
    name, _, direction = term.partition(" ")
    if direction.strip() not in ("", "asc", "desc"):
        raise OneNoteError(400, "20108", "$orderby takes asc or desc.")
    return name, direction.strip() == "desc"


def _fits(row: Json, condition: str) -> bool:
    """One comparison; `and`, `or` and the rest of the language are not spoken here."""
    if not condition:
        return True
    condition = condition.strip()
    match = _COMPARISON.fullmatch(condition) or _PART.fullmatch(condition) or _TIME.fullmatch(condition)
    value = row.get(match["lower"] or match["by"]) if match else None
    if match is None or not isinstance(value, str):
        raise OneNoteError(400, "20108", "This $filter is not understood: one comparison of one text or time.")
    return _TESTS[match["how"]](value.lower() if match["lower"] else value, match["text"].replace("''", "'"))
