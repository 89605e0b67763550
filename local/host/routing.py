"""Owns the routes: which function answers a method and a path. Pure; compiled once, at the start.

Templates as ASP.NET routing reads them ("Routing in ASP.NET Core", Route templates): literal segments in any
case, `{name}`, an optional `{name?}` at the end, a catch-all `{*name}` at the end. Constraints, defaults and
segments that mix text and parameters are refused by name, not ignored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.host.errors import HostError

_PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<optional>\??)\}")
_RESERVED = ("admin", "runtime")


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a template: a literal (lower case) or a parameter."""

    literal: str = ""
    parameter: str = ""
    optional: bool = False
    catch_all: bool = False

    @property
    def rank(self) -> int:
        """Lower wins."""
        return 0 if self.literal else 2 if self.catch_all else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A function's route below the prefix. `methods` None = every method."""

    function: str
    template: str
    methods: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Match:
    """The function that answers, and its route values, decoded."""

    function: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Compiled:
    route: Route
    segments: tuple[Segment, ...]

    def allows(self, method: str) -> bool:
        return self.route.methods is None or method in self.route.methods


_NO_VALUES: Mapping[str, str] = {}


class Router:
    """All routes of an app. Raises HostError for a template that can't be, a reserved or a doubled one."""

    def __init__(self, routes: Sequence[Route], *, prefix: str) -> None:
        lead = tuple(Segment(literal=part.lower()) for part in prefix.split("/") if part)
        compiled = [_Compiled(route, lead + _segments(route)) for route in routes]
        compiled.sort(key=lambda one: [segment.rank for segment in one.segments])
        _check_doubles(compiled)
        self._literal: dict[str, list[_Compiled]] = {}
        self._others: list[_Compiled] = []
        for one in compiled:
            if all(segment.literal for segment in one.segments):
                self._literal.setdefault("/".join(s.literal for s in one.segments), []).append(one)
            else:
                self._others.append(one)

    def match(self, method: str, path: str) -> Match | None:
        """`path` begins with a slash and is decoded; one slash at its end changes nothing. None = 404."""
        inner = path[1:-1] if path.endswith("/") and len(path) > 1 else path[1:]
        for one in self._literal.get(inner.lower(), ()):
            if one.allows(method):
                return Match(one.route.function, _NO_VALUES)
        for one in self._others:
            if one.allows(method):
                values = _values(one.segments, inner, path[1:])
                if values is not None:
                    return Match(one.route.function, values)
        return None


def _segments(route: Route) -> tuple[Segment, ...]:
    parts = route.template.strip("/").split("/")
    if parts[0].lower().startswith(_RESERVED):
        raise HostError(f"The route of {route.function} begins with {parts[0]!r}: the host keeps that name.")
    segments = []
    for at, part in enumerate(parts):
        segment = _segment(part)
        last = at == len(parts) - 1
        if segment is None or ((segment.optional or segment.catch_all) and not last):
            raise HostError(
                f"The route of {route.function} has a part that this host does not know: {part!r} in "
                f"{route.template!r}. It knows text, {{name}}, and at the end {{name?}} and {{*name}}."
            )
        segments.append(segment)
    return tuple(segments)


def _segment(part: str) -> Segment | None:
    if part and not set(part) & set("{}*?"):
        return Segment(literal=part.lower())
    found = _PARAMETER.fullmatch(part)
    if found is None or (found["star"] and found["optional"]):
        return None
    return Segment(parameter=found["name"], optional=bool(found["optional"]), catch_all=bool(found["star"]))


def _check_doubles(compiled: Sequence[_Compiled]) -> None:
    for at, one in enumerate(compiled):
        for other in compiled[:at]:
            same = [s.literal or s.rank for s in one.segments] == [s.literal or s.rank for s in other.segments]
            mine, theirs = one.route.methods, other.route.methods
            if same and (mine is None or theirs is None or mine & theirs):
                names = f"{other.route.function} and {one.route.function}"
                raise HostError(f"{names} have the same route {one.route.template!r} and share a method.")


def _values(segments: tuple[Segment, ...], inner: str, whole: str) -> dict[str, str] | None:
    """Route values of `inner` (without the slash at the end), or None where it does not fit."""
    values: dict[str, str] = {}
    rest: str | None = inner or None
    used = 0
    for segment in segments:
        if rest is None:
            return values if segment.optional or segment.catch_all else None
        part, slash, tail = rest.partition("/")
        if not part:
            return None
        if segment.catch_all:
            values[segment.parameter] = whole[used:]  # here the slash at the end is part of the value
            return values
        if segment.parameter:
            values[segment.parameter] = part
        elif part.lower() != segment.literal:
            return None
        used += len(part) + 1
        rest = tail if slash else None
    return values if rest is None else None
