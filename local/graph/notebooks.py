"""Owns what the embedded OneNote holds: each owner's notebooks, sections, pages and resources, and their seed.

In memory; knows no HTTP and no permissions. The seed is made up from the owner's name alone, so it is the same in every
run: notebooks that are visibly theirs, not in the order of their names.
"""

import random
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from local.graph.rules import not_found

SEEDED_NOTEBOOKS = 9
SEEDED_PAGES = 24
"""Pages of the first section: more than the service lists at once."""

_TOPICS = (
    "Allotment",
    "Book notes",
    "Café menus",
    "Choir practice",
    "Furniture",
    "Garden",
    "House and bills",
    "Ideas",
    "Languages",
    "Meetings",
    "Music & lyrics",
    "Projects",
    "Recipes",
    "Running",
    "Travel",
    "Workshop",
)
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A picture or a file inside a page."""

    id: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Page:
    """`body` is HTML, what stands between <body> and </body>; `onenote-resource:ID` in it is a resource's address."""

    id: str
    title: str
    body: str
    section: "Section"
    created: datetime
    modified: datetime


@dataclass(slots=True, kw_only=True)
class Section:
    id: str
    name: str
    notebook: "Notebook"
    created: datetime
    modified: datetime
    locked: bool = False
    pages: list[Page] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Operation:
    """Work that takes a while. It is done after so many questions; `made` is the path of what it made."""

    id: str
    made: str
    begun: datetime
    questions_left: int = 1


@dataclass(slots=True, kw_only=True)
class Notebook:
    id: str
    name: str
    created: datetime
    modified: datetime
    sections: list[Section] = field(default_factory=list)


class Library:
    """The notebooks of one owner: a person, a group or a site. Lists are in order of creation."""

    def __init__(self, owner: str, *, name: str, personal: bool) -> None:
        """`owner` identifies, `name` is for people ("Ada"); ids look as the account kind's do."""
        self.owner = owner
        self.name = name
        self.notebooks: list[Notebook] = []
        self.resources: dict[str, Resource] = {}
        self.operations: dict[str, Operation] = {}
        self._personal = personal
        self._ids = 0
        self._seed()

    def sections(self) -> Iterator[Section]:
        return (section for notebook in self.notebooks for section in notebook.sections)

    def pages(self) -> Iterator[Page]:
        """All that can be listed: none of a locked section."""
        return (page for section in self.sections() if not section.locked for page in section.pages)

    def notebook(self, wanted: str) -> Notebook:
        """Raises OneNoteError 20102, as the others do."""
        return _first(self.notebooks, wanted)

    def section(self, wanted: str) -> Section:
        return _first(self.sections(), wanted)

    def page(self, wanted: str) -> Page:
        return _first((page for section in self.sections() for page in section.pages), wanted)

    def resource(self, wanted: str) -> Resource:
        if wanted not in self.resources:
            raise not_found()
        return self.resources[wanted]

    def add_notebook(self, name: str, at: datetime | None = None) -> Notebook:
        now = at or datetime.now(UTC)
        notebook = Notebook(id=self._new_id("notebook"), name=name, created=now, modified=now)
        self.notebooks.append(notebook)
        return notebook

    def add_section(
        self, notebook: Notebook, name: str, at: datetime | None = None, *, locked: bool = False
    ) -> Section:
        now = at or datetime.now(UTC)
        section = Section(
            id=self._new_id("section"), name=name, notebook=notebook, created=now, modified=now, locked=locked
        )
        notebook.sections.append(section)
        return section

    def add_page(self, section: Section, title: str, body: str, at: datetime | None = None) -> Page:
        now = at or datetime.now(UTC)
        page = Page(id=self._new_id("page"), title=title, body=body, section=section, created=now, modified=now)
        section.pages.append(page)
        section.modified = section.notebook.modified = now
        return page

    def add_resource(self, content_type: str, data: bytes) -> Resource:
        resource = Resource(self._new_id("resource"), content_type, data)
        self.resources[resource.id] = resource
        return resource

    def copy_page(self, page: Page, section: Section) -> Operation:
        return self._operation(f"pages/{self.add_page(section, page.title, page.body).id}")

    def copy_section(self, section: Section, notebook: Notebook, name: str) -> Operation:
        copy = self.add_section(notebook, name)
        for page in section.pages:
            self.add_page(copy, page.title, page.body)
        return self._operation(f"sections/{copy.id}")

    def operation(self, wanted: str) -> Operation:
        if wanted not in self.operations:
            raise not_found()
        return self.operations[wanted]

    def _operation(self, made: str) -> Operation:
        operation = Operation(id=self._new_id("operation"), made=made, begun=datetime.now(UTC))
        self.operations[operation.id] = operation
        return operation

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        unique = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.owner}/{kind}/{self._ids}")
        # personal accounts' ids have an exclamation mark in them, which not every client's URL handling survives
        return f"0-{unique.hex[:16].upper()}!{self._ids}" if self._personal else f"1-{unique}"

    def _seed(self) -> None:
        chance = random.Random(self.owner)
        topics = sorted(chance.sample(_TOPICS, SEEDED_NOTEBOOKS))
        # the first by name is the last to come: five unordered ones are never the five first by name
        first, rest = topics[0], topics[1:]
        chance.shuffle(rest)
        start = datetime.now(UTC) - timedelta(days=200)
        for number, topic in enumerate([*rest, first]):
            at = start + timedelta(days=20 * number, hours=number)
            notebook = self.add_notebook(f"{topic} ({self.name})", at)
            drafts = self.add_section(notebook, "Drafts", at)
            self.add_section(notebook, "Archive", at)
            self.add_page(drafts, f"About {topic.lower()}", f"<p>What {self.name} keeps here.</p>", at)
        notebook = self.notebooks[0]
        drafts = notebook.sections[0]
        for number in range(SEEDED_PAGES - 2):
            at = start + timedelta(days=3, minutes=number)
            self.add_page(drafts, f"Note {number + 1:02}", f"<p>Note {number + 1} of {self.name}.</p>", at)
        self.add_page(drafts, "With a picture and a file", self._illustrated(), start + timedelta(days=4))
        self.add_section(notebook, "Diary", start, locked=True)

    def _illustrated(self) -> str:
        picture = self.add_resource("image/png", _png(96, 64))
        paper = self.add_resource("application/pdf", _PDF)
        source = f"onenote-resource:{picture.id}"
        return (
            f'<p>A picture of {self.name}:</p><img alt="Two colours that blend" src="{source}" '
            f'data-src-type="image/png" data-fullres-src="{source}" data-fullres-src-type="image/png" '
            f'width="96" height="64" /><object data-attachment="plan.pdf" type="application/pdf" '
            f'data="onenote-resource:{paper.id}"></object>'
        )


def _first[T: (Notebook, Section, Page)](things: Iterator[T] | list[T], wanted: str) -> T:
    for thing in things:
        if thing.id == wanted:
            return thing
    raise not_found()


def _png(width: int, height: int) -> bytes:
    """A small picture (PNG specification, third edition, §5): 8-bit RGB, one filter byte a row."""
    rows = b"".join(
        b"\0" + b"".join(bytes((255 * x // width, 90, 255 * y // height)) for x in range(width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
