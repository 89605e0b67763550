"""Owns how notebooks, sections and pages look in answers: JSON as Microsoft Graph's, pages as OneNote's HTML. Pure.

`base` is the absolute address up to and with `/onenote`, by which the request came: links lead back the same way.
Shapes: Microsoft Graph v1.0 reference, resource types notebook, onenoteSection, onenotePage.
"""

import html
import re
from collections.abc import Set
from datetime import UTC, datetime
from typing import Any

from local.graph.notebooks import Library, Notebook, Operation, Page, Section

Json = dict[str, Any]

_RESOURCE = re.compile(r"onenote-resource:([0-9A-Za-z!-]+)")


def notebook_json(base: str, library: Library, notebook: Notebook, expand: Set[str] = frozenset()) -> Json:
    here = f"{base}/notebooks/{notebook.id}"
    shown = {
        "id": notebook.id,
        "self": here,
        "createdDateTime": _time(notebook.created),
        "displayName": notebook.name,
        "lastModifiedDateTime": _time(notebook.modified),
        "isDefault": notebook is library.notebooks[0],
        "userRole": "Owner",
        "isShared": False,
        "sectionsUrl": f"{here}/sections",
        "sectionGroupsUrl": f"{here}/sectionGroups",
        "createdBy": _by(library),
        "lastModifiedBy": _by(library),
        "links": _links(notebook.id),
    }
    if "sections" in expand:
        shown["sections"] = [section_json(base, library, section) for section in notebook.sections]
    if "sectionGroups" in expand:
        shown["sectionGroups"] = []
    return shown


def section_json(base: str, library: Library, section: Section, expand: Set[str] = frozenset()) -> Json:
    here = f"{base}/sections/{section.id}"
    shown = {
        "id": section.id,
        "self": here,
        "createdDateTime": _time(section.created),
        "displayName": section.name,
        "lastModifiedDateTime": _time(section.modified),
        "isDefault": False,
        "pagesUrl": f"{here}/pages",
        "createdBy": _by(library),
        "lastModifiedBy": _by(library),
        "links": _links(section.id),
    }
    if "parentNotebook" in expand:
        shown["parentNotebook"] = notebook_json(base, library, section.notebook)
    return shown


def page_json(base: str, library: Library, page: Page, expand: Set[str] = frozenset()) -> Json:
    here = f"{base}/pages/{page.id}"
    shown = {
        "id": page.id,
        "self": here,
        "createdDateTime": _time(page.created),
        "title": page.title,
        "createdByAppId": "",
        "contentUrl": f"{here}/content",
        "lastModifiedDateTime": _time(page.modified),
        "links": _links(page.id),
        "parentSection": {
            "id": page.section.id,
            "displayName": page.section.name,
            "self": f"{base}/sections/{page.section.id}",
        },
    }
    if "parentSection" in expand:
        shown["parentSection"] = section_json(base, library, page.section)
    if "parentNotebook" in expand:
        shown["parentNotebook"] = notebook_json(base, library, page.section.notebook)
    return shown


def operation_json(base: str, operation: Operation) -> Json:
    """Resource type onenoteOperation."""
    done = operation.questions_left <= 0
    shown = {
        "id": operation.id,
        "status": "Completed" if done else "Running",
        "createdDateTime": _time(operation.begun),
        "lastActionDateTime": _time(operation.begun),
    }
    if done:
        shown |= {"resourceId": operation.made.rpartition("/")[2], "resourceLocation": f"{base}/{operation.made}"}
    return shown


def page_html(base: str, page: Page) -> str:
    """A page's content. Its body is passed on as it was stored: the caller must not trust it."""
    body = _RESOURCE.sub(lambda match: f"{base}/resources/{match[1]}/$value", page.body)
    return (
        f'<html lang="en-US"><head><title>{html.escape(page.title)}</title>'
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />'
        f'<meta name="created" content="{_time(page.created)}" /></head>'
        '<body data-absolute-enabled="true" style="font-family:Calibri;font-size:11pt">'
        f'<div style="position:absolute;left:48px;top:120px;width:624px">{body}</div></body></html>'
    )


def _by(library: Library) -> Json:
    return {"user": {"id": library.owner, "displayName": library.name}}


def _links(thing: str) -> Json:
    web = f"https://onedrive.example/open?id={thing}"
    return {"oneNoteClientUrl": {"href": f"onenote:{web}"}, "oneNoteWebUrl": {"href": web}}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
