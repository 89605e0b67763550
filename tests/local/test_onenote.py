"""The embedded OneNote as a Graph client meets it: tokens, permissions, listings, pages, limits, refusals."""

import asyncio
import base64
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from local.faults import Fault
from local.graph.notebooks import SEEDED_NOTEBOOKS, SEEDED_PAGES
from local.graph.onenote import GROUP_ID, OneNote
from local.identity_provider import USERS, AccessToken
from local.listen import Listener

ADA, CAROL, DAVE, ERIN = "ada@outlook.example", "carol@contoso.example", "dave@contoso.example", "erin@fabrikam.example"
ME = "/v1.0/me/onenote"
FIVE_BY_NAME = {"$top": "5", "$orderby": "displayName"}


@dataclass
class Issued:
    """Access tokens as an identity provider would know them."""

    tokens: dict[str, AccessToken] = field(default_factory=dict)

    def to(self, username: str, *scopes: str) -> str:
        user = next(user for user in USERS if user.username == username)
        text = str(uuid.uuid4())
        self.tokens[text] = AccessToken(
            username=username,
            scopes=frozenset(scopes or {"Notes.ReadWrite"}),
            expires_at=time.time() + 3600,
            personal=user.personal,
            licensed=user.licensed,
        )
        return text


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def names(self) -> list[str]:
        return [str(one.get("displayName") or one["title"]) for one in self.json["value"]]


Call = Callable[..., Any]


@pytest.fixture
def issued() -> Issued:
    return Issued()


@pytest.fixture
async def onenote(listener: Listener, issued: Issued) -> OneNote:
    onenote = OneNote(url=listener.url(), tokens=issued.tokens.get)
    await listener.serve(onenote.make_app())
    return onenote


@pytest.fixture
def call(onenote: OneNote, listener: Listener, http: ClientSession, issued: Issued) -> Call:
    """One request: a path with leading slash or an absolute address, as `who` (Ada) or with a `token`."""

    async def call(
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        who: str = ADA,
        scopes: tuple[str, ...] = (),
        token: str | None = None,
        **options: Any,
    ) -> Reply:
        bearer = issued.to(who, *scopes) if token is None else token
        headers = {"Authorization": f"Bearer {bearer}", **options.pop("headers", {})}
        address = path if path.startswith("https://") else listener.url() + path
        async with http.request(method, address, params=query, headers=headers, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    return call


def bearer_error(reply: Reply) -> str:
    return reply.headers.get("WWW-Authenticate", "")


async def test_five_notebooks_by_name_are_the_first_five_of_the_alphabet(call: Call, listener: Listener) -> None:
    """R-09: the article's own request; in the order that OneNote keeps them they would be others."""
    everything = (await call(f"{ME}/notebooks")).names
    reply = await call(f"{ME}/notebooks", FIVE_BY_NAME)
    assert (reply.status, len(everything)) == (200, SEEDED_NOTEBOOKS)
    assert reply.names == sorted(everything)[:5]
    assert set(reply.names) != set(everything[:5])
    descending = await call(f"{ME}/notebooks", {"$top": "5", "$orderby": "displayName desc"})
    assert descending.names == sorted(everything, reverse=True)[:5]
    assert reply.json["@odata.context"] == f"{listener.url()}/v1.0/$metadata#me/onenote/notebooks"


async def test_each_person_s_notebooks_are_visibly_their_own(call: Call) -> None:
    names = {who: (await call(f"{ME}/notebooks", who=who)).names for who in (ADA, CAROL, ERIN)}
    for who, own in names.items():
        assert len(own) >= 7
        assert own != sorted(own)
        assert all(f"({who.partition('@')[0].capitalize()})" in name for name in own)


async def test_paging_goes_on_at_the_service_s_own_address(call: Call, listener: Listener) -> None:
    """`@odata.nextLink` keeps the query; the pages together are the whole, each once."""
    whole = (await call(f"{ME}/notebooks", {"$orderby": "displayName"})).names
    query = {"$top": "4", "$orderby": "displayName", "$count": "true", "$select": "displayName"}
    reply = await call(f"{ME}/notebooks", query)
    seen, links = reply.names, []
    assert reply.json["@odata.count"] == len(whole)
    while (link := reply.json.get("@odata.nextLink")) is not None:
        links.append(link)
        reply = await call(link)
        seen += reply.names
    assert (seen, len(links)) == (whole, 2)
    assert all(link.startswith(f"{listener.url()}/v1.0/me/onenote/notebooks?") for link in links)
    assert (await call(f"{ME}/notebooks", {"$skip": "7"})).names == (await call(f"{ME}/notebooks")).names[7:]


async def test_a_listing_shows_what_was_selected_and_expanded(call: Call) -> None:
    reply = await call(f"{ME}/notebooks", {"$select": "id,displayName", "$expand": "sections,sectionGroups"})
    first = reply.json["value"][0]
    assert set(first) == {"id", "displayName", "sections", "sectionGroups"}
    assert [section["displayName"] for section in first["sections"]] == ["Drafts", "Archive", "Diary"]
    page = (await call(f"{ME}/pages", {"$top": "1", "$expand": "parentNotebook,parentSection"})).json["value"][0]
    assert page["parentNotebook"]["sectionsUrl"].endswith("/sections")
    assert page["parentSection"]["displayName"] == "Drafts"
    section = (await call(f"{ME}/sections", {"$expand": "parentNotebook", "$top": "1"})).json["value"][0]
    assert section["parentNotebook"]["displayName"] == (await call(f"{ME}/notebooks")).names[0]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("displayName eq 'Drafts'", {"Drafts"}),
        ("displayName ne 'Drafts'", {"Archive", "Diary"}),
        ("startswith(displayName,'A')", {"Archive"}),
        ("contains(tolower(displayName), 'dia')", {"Diary"}),
        ("endswith(displayName,'''')", set()),
    ],
)
async def test_a_listing_can_be_filtered_by_one_comparison(call: Call, condition: str, found: set[str]) -> None:
    assert set((await call(f"{ME}/sections", {"$filter": condition, "$top": "100"})).names) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"$top": "101"}, "20129"),
        ({"$top": "-1"}, "20108"),
        ({"$top": "9" * 5000}, "20108"),
        ({"$skip": "x"}, "20108"),
        ({"$orderby": "name"}, "20108"),
        ({"$orderby": "displayName sideways"}, "20108"),
        ({"$select": "secret"}, "20108"),
        ({"$expand": "pages"}, "20108"),
        ({"$count": "maybe"}, "20108"),
        ({"$filter": "a or b"}, "20108"),
        ({"$search": "x"}, "20100"),
        ({"search": "x"}, "20100"),
    ],
)
async def test_a_query_that_onenote_does_not_take_is_refused(call: Call, query: dict[str, str], code: str) -> None:
    reply = await call(f"{ME}/notebooks", query)
    assert (reply.status, reply.code) == (400, code)


async def test_links_lead_back_the_way_the_request_came(call: Call, listener: Listener) -> None:
    """v1.0 and beta, me and users alike; following `self` gives the same thing."""
    for base in (ME, "/beta/me/onenote", f"/v1.0/users/{ADA}/onenote", f"/v1.0/users('{ADA}')/onenote"):
        first = (await call(f"{base}/notebooks", {"$top": "1"})).json["value"][0]
        assert first["self"] == f"{listener.url()}{base}/notebooks/{first['id']}"
        again = (await call(first["self"])).json
        assert again.pop("@odata.context") == f"{listener.url()}/{base.split('/')[1]}/$metadata#" + (
            f"{base.split('/', 2)[2]}/notebooks/$entity"
        )
        assert again == first
        assert (await call(first["sectionsUrl"])).names
        assert (await call(first["sectionGroupsUrl"])).names == []
    oid = next(user.oid for user in USERS if user.username == ADA)
    assert (await call(f"/v1.0/users/{oid}/onenote/notebooks")).names == (await call(f"{ME}/notebooks")).names


async def test_a_personal_account_s_ids_have_an_exclamation_mark(call: Call) -> None:
    """They must survive every client and proxy, written plainly or percent-encoded."""
    wanted = (await call(f"{ME}/notebooks")).json["value"][0]["id"]
    assert "!" in wanted
    assert (await call(f"{ME}/notebooks/{wanted.replace('!', '%21')}")).json["id"] == wanted
    assert "!" not in (await call(f"{ME}/notebooks", who=CAROL)).json["value"][0]["id"]


async def test_pages_come_twenty_at_a_time_newest_change_first(call: Call) -> None:
    section = (await call(f"{ME}/sections")).json["value"][0]
    first = await call(section["pagesUrl"])
    assert (len(first.names), "@odata.nextLink" in first.json) == (20, True)
    times = [page["lastModifiedDateTime"] for page in first.json["value"]]
    assert times == sorted(times, reverse=True)
    second = await call(first.json["@odata.nextLink"])
    assert (len(first.names + second.names), len(set(first.names + second.names))) == (SEEDED_PAGES, SEEDED_PAGES)
    assert "@odata.nextLink" not in second.json


async def test_a_page_s_picture_and_file_can_be_fetched_by_its_links(call: Call, listener: Listener) -> None:
    """R-09: the content is HTML with absolute links to resources that need the token too."""
    page = (await call(f"{ME}/pages", {"$filter": "contains(title,'picture')"})).json["value"][0]
    content = await call(page["contentUrl"])
    assert content.headers["Content-Type"] == "text/html; charset=utf-8"
    links = re.findall(r'(src|data-fullres-src|data)="(https://[^"]*)"', content.body.decode())
    assert [name for name, _ in links] == ["src", "data-fullres-src", "data"]
    prefix = f"{listener.url()}/v1.0/me/onenote/resources/"
    assert all(link.startswith(prefix) and link.endswith("/$value") for _, link in links)
    picture, paper = await call(links[0][1]), await call(links[2][1])
    assert (picture.headers["Content-Type"], picture.body[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert (paper.headers["Content-Type"], paper.body[:5]) == ("application/pdf", b"%PDF-")
    assert (await call(links[0][1], token="")).status == 401


async def test_notebooks_sections_and_pages_can_be_made(call: Call) -> None:
    notebook = await call(f"{ME}/notebooks", method="POST", json={"displayName": "A new one"})
    assert (notebook.status, notebook.headers["Location"]) == (201, notebook.json["self"])
    section = await call(notebook.json["sectionsUrl"], method="POST", json={"displayName": "First"})
    html = "<html><head><title>Fish &amp; chips</title></head><body><p>Hello</p><script>1</script></body></html>"
    page = await call(
        section.json["pagesUrl"], method="POST", data=html.encode(), headers={"Content-Type": "text/html"}
    )
    assert (section.status, page.status, page.json["title"]) == (201, 201, "Fish & chips")
    assert (await call(f"{ME}/notebooks", FIVE_BY_NAME)).names[0] == "A new one"
    assert "<p>Hello</p><script>1</script>" in (await call(page.json["contentUrl"])).body.decode()
    commands = [{"target": "body", "action": "append", "content": "<p>More</p>"}]
    assert (await call(page.json["contentUrl"], method="PATCH", json=commands)).status == 204
    assert "<p>More</p>" in (await call(page.json["contentUrl"])).body.decode()
    assert (await call(page.json["self"], method="DELETE")).status == 204
    assert ((gone := await call(page.json["self"])).status, gone.code) == (404, "20102")


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def test_a_page_can_come_in_parts_with_its_pictures_and_files(call: Call) -> None:
    """R-09: the parts are told by name, come back byte for byte, and a file is no picture."""
    form = FormData()
    html = """<html><head><title>Parts</title></head><body><img src="name:one" alt="x"/>
        <object data-attachment="a.pdf" data='name:two' type="application/pdf"></object></body></html>"""
    form.add_field("Presentation", html, content_type="text/html")
    form.add_field("one", PICTURE, content_type="image/png", filename="one.png")
    form.add_field("two", b"%PDF-", content_type="application/pdf", filename="a.pdf")
    page = await call(f"{ME}/pages", method="POST", data=form)
    assert (page.status, page.json["title"]) == (201, "Parts")
    content = (await call(page.json["contentUrl"])).body.decode()
    assert "name:" not in content
    links = re.findall(r'(src|data-fullres-src|data)="([^"]+)"', content)
    assert [name for name, _ in links] == ["src", "data-fullres-src", "data"]
    picture, paper = await call(links[0][1]), await call(links[2][1])
    assert (picture.headers["Content-Type"], picture.body) == ("image/png", PICTURE)
    assert (paper.headers["Content-Type"], paper.body) == ("application/pdf", b"%PDF-")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n\r\nx",
        b"--b\r\nno header\r\n--b--\r\n",
        b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n',
    ],
)
async def test_parts_without_a_presentation_are_refused(call: Call, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = await call(f"{ME}/pages", method="POST", data=body, headers=headers)
    assert (reply.status, reply.code) == (400, "20001")


async def test_a_copy_is_asked_for_until_it_is_done(call: Call) -> None:
    """R-09: 202 and Operation-Location, then running, then completed with where the copy lies."""
    page = (await call(f"{ME}/pages", {"$top": "1"})).json["value"][0]
    notebook = (await call(f"{ME}/notebooks", {"$top": "1", "$skip": "3", "$expand": "sections"})).json["value"][0]
    archive = notebook["sections"][1]
    for path, body in (
        (f"pages/{page['id']}/copyToSection", {"id": archive["id"]}),
        (f"sections/{archive['id']}/copyToNotebook", {"id": notebook["id"], "renameAs": "Copied"}),
    ):
        begun = await call(f"{ME}/{path}", method="POST", json=body)
        assert begun.status == 202
        operation = begun.headers["Operation-Location"]
        assert (await call(operation)).json["status"] == "Running"
        done = (await call(operation)).json
        assert done["status"] == "Completed"
        copy = (await call(done["resourceLocation"])).json
        assert (copy["id"], copy.get("title", "Copied")) == (done["resourceId"], copy.get("displayName", page["title"]))
    assert (await call(f"{ME}/operations/0-UNKNOWN!1")).code == "20102"


async def test_a_file_is_sent_whole_in_part_or_not_again(call: Call) -> None:
    """RFC 9110 §13, §14."""
    page = next(p for p in (await call(f"{ME}/pages", {"$top": "100"})).json["value"] if "picture" in p["title"])
    content = (await call(page["contentUrl"])).body.decode()
    link = re.findall(r' src="([^"]+)"', content)[0]
    whole = await call(link)
    tag = whole.headers["ETag"]
    assert (await call(link, headers={"If-None-Match": tag})).status == 304
    part = await call(link, headers={"Range": "bytes=2-5", "If-Range": tag})
    assert (part.status, part.body) == (206, whole.body[2:6])
    assert part.headers["Content-Range"] == f"bytes 2-5/{len(whole.body)}"
    assert (await call(link, headers={"Range": "bytes=2-5", "If-Range": '"other"'})).body == whole.body
    assert (await call(link, headers={"Range": f"bytes={len(whole.body)}-"})).status == 416


async def test_calls_in_a_batch_are_answered_each(call: Call) -> None:
    """What failed takes along what waited for it; what is no JSON is in base64."""
    page = (await call(f"{ME}/pages", {"$top": "1"})).json["value"][0]
    calls = [
        {"id": "1", "method": "GET", "url": "/me/onenote/notebooks?$top=2"},
        {"id": "2", "method": "GET", "url": "/me/onenote/pages/0-UNKNOWN!1"},
        {"id": "3", "method": "GET", "url": "/me/onenote/notebooks", "dependsOn": ["2"]},
        {"id": "4", "method": "GET", "url": f"/me/onenote/pages/{page['id']}/content"},
        {
            "id": "5",
            "method": "POST",
            "url": "/me/onenote/notebooks",
            "headers": {"Content-Type": "application/json"},
            "body": {"displayName": "From a batch"},
        },
    ]
    reply = await call("/v1.0/$batch", method="POST", json={"requests": calls})
    answers = {one["id"]: one for one in reply.json["responses"]}
    assert {name: one["status"] for name, one in answers.items()} == {"1": 200, "2": 404, "3": 424, "4": 200, "5": 201}
    assert len(answers["1"]["body"]["value"]) == 2
    assert base64.b64decode(answers["4"]["body"]).startswith(b"<html")
    wrong: list[dict[str, Any]] = [{}, {"requests": []}, {"requests": [{}]}, {"requests": calls * 5}]
    for bad in wrong:
        assert (await call("/v1.0/$batch", method="POST", json=bad)).status == 400


async def test_pages_are_found_by_the_time_of_their_change(call: Call) -> None:
    now = datetime.now(UTC)
    new = await call(f"{ME}/pages", method="POST", data=b"<title>New</title>", headers={"Content-Type": "text/html"})
    for how, since in (("ge", now - timedelta(days=1)), ("gt", now - timedelta(days=1))):
        condition = f"lastModifiedDateTime {how} {since:%Y-%m-%dT%H:%M:%SZ}"
        found = (await call(f"{ME}/pages", {"$filter": condition})).json["value"]
        assert [page["id"] for page in found] == [new.json["id"]]
    older = (await call(f"{ME}/pages", {"$filter": f"lastModifiedDateTime lt {now:%Y-%m-%dT%H:%M:%SZ}"})).json["value"]
    assert older
    assert new.json["id"] not in {page["id"] for page in older}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"displayName": "What?"}, 400, "20115"),
        ({"displayName": "x" * 129}, 400, "20155"),
        ({"displayName": " "}, 400, "20153"),
        ({}, 400, "20153"),
        ([], 400, "20100"),
        ({"displayName": "twice"}, 409, "20117"),
    ],
)
async def test_a_notebook_without_a_good_name_is_refused(call: Call, body: Any, status: int, code: str) -> None:
    await call(f"{ME}/notebooks", method="POST", json={"displayName": "Twice"})
    before = (await call(f"{ME}/notebooks")).names
    reply = await call(f"{ME}/notebooks", method="POST", json=body)
    assert (reply.status, reply.code) == (status, code)
    assert (await call(f"{ME}/notebooks")).names == before


async def test_bad_pages_and_commands_are_refused(call: Call) -> None:
    page = (await call(f"{ME}/pages")).json["value"][0]
    for method, address, options in (
        ("POST", f"{ME}/pages", {"json": {}}),
        ("POST", f"{ME}/pages", {"data": b" ", "headers": {"Content-Type": "text/html"}}),
        ("PATCH", page["contentUrl"], {"data": b"{"}),
        ("PATCH", page["contentUrl"], {"json": [{"target": "title", "action": "replace", "content": "x"}]}),
        ("PATCH", page["contentUrl"], {"json": [{"target": "body", "action": "append"}]}),
    ):
        assert (await call(address, method=method, **options)).status == 400


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{ME}/notebooks/0-UNKNOWN!1", 404, "20102"),
        (f"{ME}/notebooks/0-UNKNOWN!1/sections", 404, "20102"),
        (f"{ME}/sections/0-UNKNOWN!1/pages", 404, "20102"),
        (f"{ME}/pages/0-UNKNOWN!1/content", 404, "20102"),
        (f"{ME}/resources/0-UNKNOWN!1/$value", 404, "20102"),
        (f"{ME}/notebooks/a%20b", 400, "20112"),
        (f"{ME}/operations", 400, "BadRequest"),
        (f"{ME}", 400, "BadRequest"),
        ("/v1.0/me/messages", 400, "BadRequest"),
        ("/v2.0/me/onenote/notebooks", 400, "BadRequest"),
    ],
)
async def test_what_is_not_there_has_its_own_code(call: Call, path: str, status: int, code: str) -> None:
    reply = await call(path)
    assert (reply.status, reply.code) == (status, code)


async def test_an_error_has_graph_s_shape_and_the_ids_of_its_request(call: Call) -> None:
    """A caller's own request id is handed back, unless it is none."""
    mine = str(uuid.uuid4())
    reply = await call(f"{ME}/notebooks/0-UNKNOWN!1", headers={"client-request-id": mine})
    inner = reply.json["error"]["innerError"]
    assert set(inner) == {"date", "request-id", "client-request-id"}
    assert inner["client-request-id"] == reply.headers["client-request-id"] == mine
    assert inner["request-id"] == reply.headers["request-id"] != mine
    odd = await call(f"{ME}/notebooks", headers={"client-request-id": "a<b"})
    assert odd.headers["client-request-id"] == odd.headers["request-id"]


async def test_a_token_that_is_missing_unknown_or_expired_is_told_by_the_challenge(call: Call, issued: Issued) -> None:
    """R-10: 401 with InvalidAuthenticationToken is the one that another token cures."""
    expired = issued.to(ADA)
    issued.tokens[expired] = replace(issued.tokens[expired], expires_at=time.time() - 1)
    for token in ("", "unknown", expired):
        reply = await call(f"{ME}/notebooks", token=token)
        assert (reply.status, reply.code) == (401, "InvalidAuthenticationToken")
        assert bearer_error(reply).startswith('Bearer realm="", authorization_uri="')
        assert "insufficient_claims" not in bearer_error(reply)


READ, CREATE, CHANGE = "Notes.Read", "Notes.Create", "Notes.ReadWrite"


@pytest.mark.parametrize(
    ("method", "what", "enough"),
    [
        ("GET", "notebooks", {READ, CREATE, CHANGE}),
        ("GET", "sections", {READ, CREATE, CHANGE}),
        ("GET", "pages", {READ, CHANGE}),
        ("GET", "resources/x/$value", {READ, CHANGE}),
        ("POST", "notebooks", {CREATE, CHANGE}),
        ("POST", "pages", {CREATE, CHANGE}),
        ("PATCH", "pages/x/content", {CHANGE}),
        ("DELETE", "pages/x", {CHANGE}),
    ],
)
async def test_each_request_needs_its_least_permission(call: Call, method: str, what: str, enough: set[str]) -> None:
    """R-08: a lacking permission is 403 with OneNote's own code, for either account kind."""
    for who in (ADA, CAROL):
        for scope in (READ, CREATE, CHANGE, "User.Read", "Notes.ReadWrite.CreatedByApp"):
            reply = await call(f"{ME}/{what}", method=method, who=who, scopes=(scope,))
            refused = reply.status == 403 and reply.code == "40004"
            assert refused == (scope not in enough), (who, scope, reply.status)


async def test_the_all_permissions_are_useless_for_a_personal_account(call: Call) -> None:
    """R-07: 401 with code 40001 although the token is fresh; beside a plain one they do no harm."""
    alone = await call(f"{ME}/notebooks", scopes=("Notes.Read.All",))
    assert (alone.status, alone.code, bearer_error(alone)) == (401, "40001", "")
    assert (await call(f"{ME}/notebooks", scopes=("Notes.Read.All", "Notes.Read"))).status == 200
    assert (await call(f"{ME}/notebooks", who=CAROL, scopes=("Notes.Read.All",))).status == 200


@pytest.mark.parametrize(
    "owner", [f"users/{DAVE}", f"groups/{GROUP_ID}", "sites/contoso.example", "sites/contoso.example,1,2"]
)
async def test_other_people_s_notebooks_need_an_all_permission(call: Call, owner: str) -> None:
    path = f"/v1.0/{owner}/onenote/notebooks"
    assert (await call(path, who=CAROL, scopes=(CHANGE,))).code == "40004"
    reply = await call(path, who=CAROL, scopes=("Notes.Read.All",))
    assert reply.status == 200
    assert not any("(Carol)" in name for name in reply.names)
    assert (await call(path, who=ADA)).code == "20150"


async def test_nobody_reaches_into_another_tenant_or_writes_into_another_s_notebooks(call: Call) -> None:
    everything = ("Notes.ReadWrite.All",)
    for owner in (f"users/{CAROL}", "users/nobody@fabrikam.example", "groups/another", "sites/contoso.example"):
        reply = await call(f"/v1.0/{owner}/onenote/notebooks", who=ERIN, scopes=everything)
        assert (reply.status, reply.code) == (404, "20102")
    body = {"displayName": "Mine now"}
    path = f"/v1.0/users/{DAVE}/onenote/notebooks"
    reply = await call(path, method="POST", who=CAROL, scopes=everything, json=body)
    assert (reply.status, reply.code) == (403, "40002")
    path = f"/v1.0/groups/{GROUP_ID}/onenote/notebooks"
    assert (await call(path, method="POST", who=CAROL, scopes=everything, json=body)).status == 201


async def test_an_unlicensed_person_is_told_so_whatever_they_ask(call: Call) -> None:
    """R-15: the token is good and the permission is there; OneNote is not."""
    for path in ("notebooks", "pages", "sections/x/pages"):
        reply = await call(f"{ME}/{path}", who=DAVE)
        assert (reply.status, reply.code, bearer_error(reply)) == (403, "30108", "")


async def test_a_password_protected_section_shows_its_name_and_no_page(call: Call) -> None:
    """R-15: code 10004."""
    diary = (await call(f"{ME}/sections", {"$filter": "displayName eq 'Diary'"})).json["value"][0]
    assert (await call(diary["self"])).status == 200
    reply = await call(diary["pagesUrl"])
    assert (reply.status, reply.code) == (403, "10004")
    html = {"data": b"<p>x</p>", "headers": {"Content-Type": "text/html"}}
    assert (await call(diary["pagesUrl"], method="POST", **html)).code == "10004"


async def test_a_onedrive_being_provisioned_refuses_for_a_while(call: Call, onenote: OneNote) -> None:
    """R-15: 30105 for as many calls as the test says, then all is well; other people notice nothing."""
    onenote.switches(ADA).provisioning = 2
    replies = [await call(f"{ME}/notebooks") for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 503, 200]
    assert (replies[0].code, "Retry-After" in replies[0].headers) == ("30105", False)
    onenote.switches(ADA).provisioning = 1
    assert (await call(f"{ME}/notebooks", who=CAROL)).status == 200


async def test_limits_of_the_library_have_their_codes(call: Call, onenote: OneNote) -> None:
    """R-15: a full OneDrive takes no notebook more; one with too many items can't be listed."""
    onenote.switches(ADA).notebook_limit = SEEDED_NOTEBOOKS + 1
    replies = [await call(f"{ME}/notebooks", method="POST", json={"displayName": f"N{n}"}) for n in range(2)]
    assert [reply.status for reply in replies] == [201, 507]
    assert replies[1].code == "30101"
    onenote.switches(ADA).too_many_items = True
    reply = await call(f"{ME}/notebooks")
    assert (reply.status, reply.code) == (403, "10008")


async def test_too_many_requests_in_a_minute_are_refused_without_retry_after(call: Call, onenote: OneNote) -> None:
    """OneNote's 429 names no time to wait; each person has a limit of their own."""
    onenote.switches(ADA).calls_per_minute = 3
    replies = [await call(f"{ME}/notebooks") for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert (replies[4].code, "Retry-After" in replies[4].headers) == ("20166", False)
    assert (await call(f"{ME}/notebooks", who=CAROL)).status == 200
    onenote.switches(ADA).calls_per_minute = 4
    assert [(await call(f"{ME}/notebooks")).status for _ in range(2)] == [200, 429]


async def test_too_many_calls_at_once_are_refused(call: Call, onenote: OneNote, listener: Listener) -> None:
    """A page whose upload is slow keeps its place; the most that were ever under way can be asked for."""
    onenote.switches(ADA).calls_at_once = 1
    going = asyncio.Event()

    async def slowly() -> Any:
        yield b"<p>"
        await going.wait()
        yield b"</p>"

    upload = asyncio.create_task(
        call(f"{ME}/pages", method="POST", data=slowly(), headers={"Content-Type": "text/html"})
    )
    while onenote.switches(ADA).at_once_seen == 0:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert (await call(f"{ME}/notebooks")).code == "20166"
    going.set()
    assert (await upload).status == 201
    assert (await call(f"{ME}/notebooks")).status == 200
    assert onenote.switches(ADA).at_once_seen == 1


async def test_a_claims_challenge_comes_once_and_can_be_read(call: Call, onenote: OneNote) -> None:
    """R-10: 401 insufficient_claims, which no plain renewal cures; the claims are base64 JSON."""
    onenote.switches(ADA).claims_challenge = True
    reply = await call(f"{ME}/notebooks")
    header = bearer_error(reply)
    assert (reply.status, reply.code) == (401, "InvalidAuthenticationToken")
    match = re.search(r'error="insufficient_claims", claims="([^"]+)"', header)
    assert match is not None
    assert json.loads(base64.b64decode(match[1]))["access_token"]["nbf"]["essential"] is True
    assert (await call(f"{ME}/notebooks")).status == 200


async def test_onenote_can_misbehave_like_any_service(call: Call, onenote: OneNote) -> None:
    onenote.faults.add(Fault(action="status", status=502, headers={"Content-Type": "text/html"}, body="<p>Bad</p>"))
    assert (await call(f"{ME}/notebooks")).status == 502
    assert (await call(f"{ME}/notebooks")).status == 200
    assert [(call.path, call.status) for call in onenote.faults.calls] == [
        (f"{ME}/notebooks", 502),
        (f"{ME}/notebooks", 200),
    ]


async def test_every_answer_of_a_crowd_belongs_to_the_one_who_asked(call: Call) -> None:
    """Nothing is shared between two people's requests that are under way together."""
    people = [ADA, CAROL, ERIN] * 10
    replies = await asyncio.gather(*(call(f"{ME}/notebooks", FIVE_BY_NAME, who=who) for who in people))
    for who, reply in zip(people, replies, strict=True):
        assert all(f"({who.partition('@')[0].capitalize()})" in name for name in reply.names)
