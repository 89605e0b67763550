"""Graph's Python SDK core (msgraph-core) through the pass-through: another base URL, a cookie for the token."""

import re
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.method import Method
from kiota_abstractions.multipart_body import MultipartBody
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.serialization import (
    Parsable,
    ParseNode,
    ParseNodeFactoryRegistry,
    SerializationWriter,
    SerializationWriterFactoryRegistry,
)
from kiota_http.kiota_client_factory import KiotaClientFactory
from kiota_http.middleware.middleware import BaseMiddleware
from kiota_serialization_json.json_parse_node_factory import JsonParseNodeFactory
from kiota_serialization_json.json_serialization_writer_factory import JsonSerializationWriterFactory
from kiota_serialization_multipart.multipart_serialization_writer_factory import MultipartSerializationWriterFactory
from msgraph_core import BaseGraphRequestAdapter, GraphClientFactory
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.tasks.page_iterator import PageIterator

from tests.clients.session import PAGE, PAGES, PICTURE, Session

pytestmark = pytest.mark.asyncio(loop_scope="session")


class SessionCookie(BaseMiddleware):
    """The middleware for the cookie."""

    def __init__(self, cookie: str) -> None:
        super().__init__()
        self._cookie = cookie

    async def send(self, request: httpx.Request, transport: httpx.AsyncBaseTransport) -> httpx.Response:
        request.headers["cookie"] = self._cookie
        return await super().send(request, transport)


@dataclass
class Titled(Parsable):
    """A notebook or page, as a generated model would be; those are in another package, of 100 MB."""

    id: str | None = None
    title: str | None = None
    content_url: str | None = None

    @staticmethod
    def create_from_discriminator_value(parse_node: ParseNode | None = None) -> "Titled":
        return Titled()

    def get_field_deserializers(self) -> dict[str, Callable[[ParseNode], None]]:
        def text(name: str) -> Callable[[ParseNode], None]:
            return lambda node: setattr(self, name, node.get_str_value())

        return {
            "id": text("id"),
            "title": text("title"),
            "displayName": text("title"),
            "contentUrl": text("content_url"),
        }

    def serialize(self, writer: SerializationWriter) -> None:
        raise NotImplementedError


@dataclass
class Listing(Parsable):
    odata_next_link: str | None = None
    value: list[Titled] | None = None

    @staticmethod
    def create_from_discriminator_value(parse_node: ParseNode | None = None) -> "Listing":
        return Listing()

    def get_field_deserializers(self) -> dict[str, Callable[[ParseNode], None]]:
        return {
            "@odata.nextLink": lambda node: setattr(self, "odata_next_link", node.get_str_value()),
            "value": lambda node: setattr(self, "value", node.get_collection_of_object_values(Titled)),
        }

    def serialize(self, writer: SerializationWriter) -> None:
        raise NotImplementedError


class Graph:
    """The SDK's adapter, and requests as its generated builders make them."""

    def __init__(self, session: Session) -> None:
        tls = ssl.create_default_context(cafile=session.authority)
        self.transport = httpx.AsyncHTTPTransport(verify=tls)
        http = GraphClientFactory.create_with_custom_middleware(
            [*KiotaClientFactory.get_default_middleware(None), SessionCookie(session.cookie)],
            client=httpx.AsyncClient(base_url=f"{session.graph}/v1.0", transport=self.transport),
        )
        readers, writers = ParseNodeFactoryRegistry(), SerializationWriterFactoryRegistry()
        readers.CONTENT_TYPE_ASSOCIATED_FACTORIES["application/json"] = JsonParseNodeFactory()
        writers.CONTENT_TYPE_ASSOCIATED_FACTORIES["application/json"] = JsonSerializationWriterFactory()
        writers.CONTENT_TYPE_ASSOCIATED_FACTORIES["multipart/form-data"] = MultipartSerializationWriterFactory()
        self.adapter = BaseGraphRequestAdapter(AnonymousAuthenticationProvider(), readers, writers, http)
        self.adapter.base_url = f"{session.graph}/v1.0"

    def request(self, method: Method, address: str, **query: str) -> RequestInformation:
        """`address` as in Graph's documents, or a whole one as Graph gave it."""
        if address.startswith("https://"):
            wanted = RequestInformation(method)
            wanted.url = address
            return wanted
        names = ",".join(f"%24{name}" for name in query)
        template = "{+baseurl}" + address + (f"{{?{names}}}" if names else "")
        wanted = RequestInformation(method, template, {"baseurl": self.adapter.base_url})
        wanted.query_parameters = {f"%24{name}": value for name, value in query.items()}
        wanted.headers.try_add("Accept", "application/json")
        return wanted

    async def listing(self, address: str, **query: str) -> Listing:
        found = await self.adapter.send_async(self.request(Method.GET, address, **query), Listing, {})
        assert isinstance(found, Listing)
        return found

    async def content(self, address: str) -> bytes:
        found = await self.adapter.send_primitive_async(self.request(Method.GET, address), "bytes", {})
        assert isinstance(found, bytes)
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def graph(session: Session) -> AsyncIterator[Graph]:
    graph = Graph(session)
    yield graph
    await graph.transport.aclose()  # the SDK's own closes nothing


def titles(listing: Listing) -> list[Any]:
    return [one.title for one in listing.value or ()]


async def test_it_lists_notebooks_by_name(graph: Graph, session: Session) -> None:
    """R-09."""
    found = await graph.listing("/me/onenote/notebooks", top="5", orderby="displayName")
    assert titles(found) == sorted(session.notebooks)[:5]


async def test_it_pages_through_250_pages_by_next_links(graph: Graph, session: Session) -> None:
    """R-09: links lead back through us, so the SDK follows them with its own cookie."""
    found: list[Any] = []
    first = await graph.listing(f"/me/onenote/sections/{session.section}/pages", orderby="title")

    def keep(one: Titled) -> bool:
        found.append(one.title)
        return True

    await PageIterator(first, graph.adapter).iterate(keep)
    assert found == [f"Page {number:03}" for number in range(PAGES)]


async def test_it_creates_a_page_with_an_image_reads_it_back_and_downloads_the_image(
    graph: Graph, session: Session
) -> None:
    """R-09: byte for byte."""
    parts: MultipartBody[Any] = MultipartBody()
    parts.request_adapter = graph.adapter
    parts.add_or_replace_part("Presentation", "text/html", PAGE.encode())
    parts.add_or_replace_part("picture", "image/png", PICTURE)
    wanted = graph.request(Method.POST, f"/me/onenote/sections/{session.spare}/pages")
    wanted.set_content_from_parsable(graph.adapter, "multipart/form-data", parts)
    page = await graph.adapter.send_async(wanted, Titled, {})
    assert isinstance(page, Titled)
    assert page.title == "Made by a client"
    html = (await graph.content(str(page.content_url))).decode()
    source = re.search(r'<img[^>]* src="([^"]+)"', html)
    assert source is not None
    assert source[1].startswith(f"{session.graph}/v1.0/")
    assert await graph.content(source[1]) == PICTURE


async def test_it_sends_a_batch(graph: Graph) -> None:
    """R-09: each answer under its id."""
    batch = BatchRequestContent()
    for id, url in (("1", "/me/onenote/notebooks"), ("2", "/me/onenote/pages/none")):
        item = BatchRequestItem(graph.request(Method.GET, url), id)
        item.url = url  # as Graph's documents write it; set_url warns on Python 3.13
        batch.add_request(id, item)
    answer = await BatchRequestBuilder(graph.adapter).post(batch)
    assert answer.get_response_status_codes() == {"1": 200, "2": 404}


async def test_it_reads_a_refusal_as_graph_s_own(graph: Graph) -> None:
    """R-15: with the status, and the request's id among the headers."""
    with pytest.raises(APIError) as refused:
        await graph.listing("/me/onenote/pages/none")
    assert refused.value.response_status_code == 404
    assert refused.value.response_headers is not None
    assert refused.value.response_headers["request-id"]
