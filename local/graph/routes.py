"""Owns what each OneNote path of the embedded Microsoft Graph does, for a caller who may do it.

Source: Microsoft Graph v1.0 reference, OneNote.
"""

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import hdrs, web

from local.graph import multipart, odata, rules, shapes
from local.graph.files import file_answer
from local.graph.limits import Switches
from local.graph.notebooks import Library, Notebook, Operation, Page, Section
from local.graph.rules import NOTEBOOK_NAME_MAX, SECTION_NAME_MAX, OneNoteError

Json = dict[str, Any]

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request whose token and permission were checked.

    `service` is Graph's address with its version, `owner` whose notebooks as the path says it (`me`), `path` what
    stands after `onenote/`: links in the answer lead back the way the request came.
    """

    request: web.Request
    switches: Switches
    library: Library
    service: str
    owner: str
    path: str

    @property
    def base(self) -> str:
        return f"{self.service}/{self.owner}/onenote"

    @property
    def here(self) -> str:
        """The request's address without its query."""
        return f"{self.base}/{self.path}"

    def options(self, *expandable: str) -> odata.Options:
        return odata.parse(self.request.query, expandable=frozenset(expandable))


async def answer(visit: Visit, kind: str, rest: list[str]) -> web.StreamResponse:
    library = visit.library
    match (visit.request.method, kind, *rest):
        case ("GET", "notebooks"):
            return _notebooks(visit)
        case ("POST", "notebooks"):
            return await _create_notebook(visit)
        case ("GET", "notebooks", wanted):
            options = visit.options("sections", "sectionGroups")
            found = shapes.notebook_json(visit.base, library, library.notebook(wanted), options.expand)
            return _one(visit, "notebooks/$entity", found, options)
        case ("GET", "notebooks", wanted, "sections"):
            return _sections(visit, library.notebook(wanted).sections)
        case ("POST", "notebooks", wanted, "sections"):
            return await _create_section(visit, library.notebook(wanted))
        case ("GET", "notebooks", wanted, "sectionGroups"):
            library.notebook(wanted)
            return _many(visit, "sectionGroups", [], visit.options())
        case ("GET", "sectiongroups"):
            return _many(visit, "sectionGroups", [], visit.options())
        case ("GET", "sections"):
            return _sections(visit, library.sections())
        case ("GET", "sections", wanted):
            options = visit.options("parentNotebook")
            shown = shapes.section_json(visit.base, library, library.section(wanted), options.expand)
            return _one(visit, "sections/$entity", shown, options)
        case ("GET", "sections", wanted, "pages"):
            return _pages(visit, _open(library.section(wanted)).pages)
        case ("POST", "sections", wanted, "pages"):
            return await _create_page(visit, _open(library.section(wanted)))
        case ("GET", "pages"):
            return _pages(visit, library.pages())
        case ("POST", "pages"):
            return await _create_page(visit, library.notebooks[0].sections[0])
        case ("GET", "pages", wanted):
            options = visit.options("parentSection", "parentNotebook")
            shown = shapes.page_json(visit.base, library, library.page(wanted), options.expand)
            return _one(visit, "pages/$entity", shown, options)
        case ("GET", "pages", wanted, "content"):
            text = shapes.page_html(visit.base, library.page(wanted))
            return web.Response(text=text, content_type="text/html", charset="utf-8")
        case ("PATCH", "pages", wanted, "content"):
            return await _append(visit, library.page(wanted))
        case ("DELETE", "pages", wanted):
            page = library.page(wanted)
            page.section.pages.remove(page)
            return web.Response(status=204)
        case ("GET", "resources", wanted, "$value" | "content"):
            return file_answer(visit.request, library.resource(wanted))
        case ("POST", "pages", wanted, copy) if copy.lower() == "copytosection":
            return await _copy_page(visit, library.page(wanted))
        case ("POST", "sections", wanted, copy) if copy.lower() == "copytonotebook":
            return await _copy_section(visit, _open(library.section(wanted)))
        case ("GET", "operations", wanted):
            return _operation(visit, library.operation(wanted))
        case _:
            raise OneNoteError(400, "BadRequest", f"Resource not found for the segment '{[kind, *rest][-1][:100]}'.")


def _notebooks(visit: Visit) -> web.Response:
    options = visit.options("sections", "sectionGroups")
    show = partial(shapes.notebook_json, visit.base, visit.library, expand=options.expand)
    return _many(visit, "notebooks", [show(notebook) for notebook in visit.library.notebooks], options)


def _sections(visit: Visit, sections: Iterable[Section]) -> web.Response:
    options = visit.options("parentNotebook")
    show = partial(shapes.section_json, visit.base, visit.library, expand=options.expand)
    return _many(visit, "sections", [show(section) for section in sections], options)


def _pages(visit: Visit, pages: Iterable[Page]) -> web.Response:
    """Newest change first, unless the request says another order."""
    options = visit.options("parentSection", "parentNotebook")
    show = partial(shapes.page_json, visit.base, visit.library, expand=options.expand)
    newest_first = sorted(pages, key=lambda page: page.modified, reverse=True)
    return _many(visit, "pages", [show(page) for page in newest_first], options)


def _many(visit: Visit, what: str, rows: list[Json], options: odata.Options) -> web.Response:
    if visit.switches.too_many_items:
        raise rules.too_many_items()
    page, total = odata.apply(rows, options)
    answer: Json = {"@odata.context": _context(visit, what)}
    if options.count:
        answer["@odata.count"] = total
    if options.skip + len(page) < total:
        answer["@odata.nextLink"] = odata.next_link(visit.here, visit.request.query, options)
    answer["value"] = page
    return web.json_response(answer)


def _one(visit: Visit, what: str, shown: Json, options: odata.Options) -> web.Response:
    return web.json_response({"@odata.context": _context(visit, what), **odata.choose(shown, options)})


def _context(visit: Visit, what: str) -> str:
    return f"{visit.service}/$metadata#{visit.owner}/onenote/{what}"


def _open(section: Section) -> Section:
    if section.locked:
        raise rules.section_locked()
    return section


async def _copy_page(visit: Visit, page: Page) -> web.Response:
    target = visit.library.section(str((await _json(visit.request)).get("id")))
    _open(page.section)
    return _begun(visit, visit.library.copy_page(page, _open(target)))


async def _copy_section(visit: Visit, section: Section) -> web.Response:
    given = await _json(visit.request)
    notebook = visit.library.notebook(str(given.get("id")))
    name = rules.check_name(given.get("renameAs", section.name), most=SECTION_NAME_MAX)
    _check_unused(name, (other.name for other in notebook.sections))
    return _begun(visit, visit.library.copy_section(section, notebook, name))


def _begun(visit: Visit, operation: Operation) -> web.Response:
    return web.Response(status=202, headers={"Operation-Location": f"{visit.base}/operations/{operation.id}"})


def _operation(visit: Visit, operation: Operation) -> web.Response:
    shown = shapes.operation_json(visit.base, operation)
    operation.questions_left -= 1
    return _one(visit, "operations/$entity", shown, visit.options())


async def _create_notebook(visit: Visit) -> web.Response:
    name = rules.check_name((await _json(visit.request)).get("displayName"), most=NOTEBOOK_NAME_MAX)
    library, limit = visit.library, visit.switches.notebook_limit
    if limit is not None and len(library.notebooks) >= limit:
        raise rules.storage_full()
    _check_unused(name, (notebook.name for notebook in library.notebooks))
    shown = shapes.notebook_json(visit.base, library, library.add_notebook(name))
    return _created(visit, "notebooks/$entity", shown)


async def _create_section(visit: Visit, notebook: Notebook) -> web.Response:
    name = rules.check_name((await _json(visit.request)).get("displayName"), most=SECTION_NAME_MAX)
    _check_unused(name, (section.name for section in notebook.sections))
    shown = shapes.section_json(visit.base, visit.library, visit.library.add_section(notebook, name))
    return _created(visit, "sections/$entity", shown)


async def _create_page(visit: Visit, section: Section) -> web.Response:
    """A page from one HTML document; its body is kept as it came, scripts and all, as a test of those who show it."""
    if visit.request.content_type == "multipart/form-data":
        document = await multipart.document_of(visit.request, visit.library)
    elif visit.request.content_type in ("text/html", "application/xhtml+xml"):
        document = (await visit.request.read()).decode("utf-8", "replace")
    else:
        raise OneNoteError(400, "20001", "A page is text/html, application/xhtml+xml or multipart/form-data.")
    title, body = _TITLE.search(document), _BODY.search(document)
    if not document.strip():
        raise OneNoteError(400, "20002", "The request does not contain the page's HTML.")
    text = html.unescape(title[1]).strip() if title else ""
    page = visit.library.add_page(section, text or "Untitled", body[1] if body else document)
    return _created(visit, "pages/$entity", shapes.page_json(visit.base, visit.library, page))


async def _append(visit: Visit, page: Page) -> web.Response:
    """Of the commands that OneNote knows, the one that its documents begin with: append to the body."""
    try:
        commands = json.loads(await visit.request.read())
    except ValueError:
        commands = None
    if not isinstance(commands, list) or not commands:
        raise OneNoteError(400, "20100", "The body of the request is not a list of commands.")
    added = []
    for command in commands:
        if not isinstance(command, dict) or (command.get("target"), command.get("action")) != ("body", "append"):
            raise OneNoteError(400, "20108", "Here a command appends to the body and does nothing else.")
        if not isinstance(command.get("content"), str):
            raise OneNoteError(400, "20108", "A command needs its content.")
        added.append(command["content"])
    page.body += "".join(added)
    page.modified = datetime.now(UTC)
    return web.Response(status=204)


def _check_unused(name: str, names: Iterable[str]) -> None:
    if name.casefold() in (other.casefold() for other in names):
        raise OneNoteError(409, "20117", "An item with this name already exists in the specified location.")


def _created(visit: Visit, what: str, shown: Json) -> web.Response:
    answer = {"@odata.context": _context(visit, what), **shown}
    return web.json_response(answer, status=201, headers={hdrs.LOCATION: shown["self"]})


async def _json(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise OneNoteError(400, "20100", "The body of the request is not a JSON object.")
    return body
