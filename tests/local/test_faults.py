"""What a client sees of each fault, with and without TLS, and what the record of calls says afterwards."""

import asyncio
import re
import time
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientConnectorCertificateError, ClientError, ClientPayloadError, ClientSession, ClientTimeout, web

from local.faults import Call, Fault, Faults
from local.listen import Listener
from local.tls import LocalAuthority

FORM = {"grant_type": "refresh_token", "empty": ""}


@dataclass
class Service:
    """A service of one path that counts how often it did its work, and reads its form itself."""

    url: str
    faults: Faults = field(default_factory=Faults)
    work_done: int = 0

    def make_app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware])
        app.router.add_route("*", "/token", self.handle)
        app.router.add_get("/away", self.redirect)
        app.router.add_get("/broken", self.fail)
        return app

    async def handle(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.work_done += 1
        return web.json_response({"grant_type": form.get("grant_type"), "padding": "x" * 1000})

    async def redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/token")

    async def fail(self, request: web.Request) -> web.Response:
        raise LookupError("on purpose")

    def statuses(self) -> list[int]:
        return [call.status for call in self.faults.calls]


@pytest.fixture(params=["http", "https"])
async def service(request: pytest.FixtureRequest, listener: Listener, plain_listener: Listener) -> Service:
    served = listener if request.param == "https" else plain_listener
    service = Service(served.url())
    await served.serve(service.make_app())
    return service


async def ask(http: ClientSession, service: Service, path: str = "/token") -> tuple[int, str, bytes]:
    async with http.post(service.url + path, data=FORM, timeout=ClientTimeout(total=5)) as answer:
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize(("action", "work_done"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_ends_the_connection_before_or_after_the_work(
    http: ClientSession, service: Service, action: str, work_done: int
) -> None:
    """The caller sees a connection error, the record a call without an answer, the next call all is well."""
    service.faults.add(Fault(action=action))  # type: ignore[arg-type]
    with pytest.raises((ClientError, ConnectionError)):
        await ask(http, service)
    assert service.work_done == work_done
    assert (await ask(http, service))[0] == 200
    assert service.statuses() == [0, 200]


async def test_a_reset_is_a_reset_on_the_wire(plain_listener: Listener) -> None:
    """RST and not the orderly end of a connection: clients tell the two apart."""
    service = Service(plain_listener.url())
    await plain_listener.serve(service.make_app())
    service.faults.add(Fault(action="reset_before"))
    reader, writer = await asyncio.open_connection("127.0.0.1", plain_listener.port)
    writer.write(b"GET /token HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_call_that_hangs_does_no_work_until_its_caller_gives_up(http: ClientSession, service: Service) -> None:
    """Recorded at once, so that a test can wait for it; nothing stays behind when the caller has gone."""
    service.faults.add(Fault(action="hang"))
    with pytest.raises(TimeoutError):
        async with http.post(service.url + "/token", data=FORM, timeout=ClientTimeout(total=0.2)):
            pass
    assert (service.work_done, service.statuses()) == (0, [0])


async def test_clearing_the_faults_lets_go_of_calls_that_hang(http: ClientSession, service: Service) -> None:
    """So a test, or the end of the stack, need not wait for anybody's patience."""
    service.faults.add(Fault(action="hang", times=None))
    asked = asyncio.create_task(ask(http, service))
    while not service.faults.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    service.faults.clear()
    with pytest.raises((ClientError, ConnectionError)):
        await asked
    assert (await ask(http, service))[0] == 200


async def test_a_slow_answer_is_the_service_s_own(http: ClientSession, service: Service) -> None:
    """The delay comes first, then the work."""
    service.faults.add(Fault(action="slow", delay_s=0.1))
    start = time.monotonic()
    status, _, body = await ask(http, service)
    assert (status, b"refresh_token" in body) == (200, True)
    assert time.monotonic() - start >= 0.1


async def test_a_status_replaces_the_service_s_answer(http: ClientSession, service: Service) -> None:
    """With the headers and the body that were asked for; JSON unless they say otherwise."""
    service.faults.add(Fault(action="status", status=429, headers={"Retry-After": "7"}, body='{"error":"busy"}'))
    async with http.post(service.url + "/token", data=FORM) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert await answer.json() == {"error": "busy"}
    service.faults.add(Fault(action="status", status=503, headers={"content-type": "text/html"}, body="<p>No</p>"))
    assert await ask(http, service) == (503, "text/html", b"<p>No</p>")
    assert service.work_done == 0


async def test_a_truncated_answer_breaks_off_after_the_work(http: ClientSession, service: Service) -> None:
    """Status and headers come, the body ends too early; the work is done, as when a line drops."""
    service.faults.add(Fault(action="truncate"))
    with pytest.raises(ClientPayloadError):
        await ask(http, service)
    assert (service.work_done, service.statuses()) == (1, [200])


async def test_garbage_says_it_is_json_and_is_not(http: ClientSession, service: Service) -> None:
    service.faults.add(Fault(action="garbage"))
    async with http.post(service.url + "/token", data=FORM) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        with pytest.raises(ValueError):
            await answer.json()
    assert service.work_done == 0


async def test_a_captive_portal_answers_with_a_page(http: ClientSession, service: Service) -> None:
    service.faults.add(Fault(action="wrong_type"))
    status, content_type, body = await ask(http, service)
    assert (status, content_type, body[:9]) == (200, "text/html", b"<!doctype")
    assert service.work_done == 0


@pytest.mark.parametrize(
    "other",
    [
        Fault(action="reset_before", method="GET"),
        Fault(action="reset_before", path=r"/tok$"),
        Fault(action="reset_before", form={"grant_type": "authorization_code"}),
        Fault(action="reset_before", form={"grant_type": "refresh_token", "scope": ""}),
    ],
)
async def test_a_fault_leaves_other_calls_alone(http: ClientSession, service: Service, other: Fault) -> None:
    """Method, path and every form field must match; the handler still finds its form."""
    service.faults.add(other)
    status, _, body = await ask(http, service)
    assert (status, b'"refresh_token"' in body) == (200, True)
    assert service.faults.waiting() == [other]


async def test_a_fault_finds_its_call_by_method_query_and_form(http: ClientSession, service: Service) -> None:
    service.faults.add(
        Fault(action="status", method="post", path=r"\?q=[0-9]+", form={"grant_type": "refresh_token", "empty": ""})
    )
    assert (await ask(http, service))[0] == 200
    assert (await ask(http, service, "/token?q=12"))[0] == 500
    assert service.faults.calls[-1].path == "/token"


async def test_a_fault_by_form_copes_with_bodies_that_are_no_form(http: ClientSession, service: Service) -> None:
    """JSON, broken bytes and uploads are not matched, and reach the handler as they are."""
    service.faults.add(Fault(action="reset_before", form={"grant_type": "refresh_token"}))
    for body, content_type in (
        (b"\xff=\xfe&%%%", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "refresh_token"}', "application/json"),
        (b"", "application/x-www-form-urlencoded"),
    ):
        async with http.post(service.url + "/token", data=body, headers={"Content-Type": content_type}) as answer:
            assert answer.status in (200, 500)
    assert len(service.faults.waiting()) == 1


async def test_a_fault_strikes_as_often_as_it_was_told(http: ClientSession, service: Service) -> None:
    """Once unless it says otherwise; those for the same calls take turns in the order they came."""
    service.faults.add(Fault(action="status", status=500, times=2))
    service.faults.add(Fault(action="status", status=503, times=None))
    assert [(await ask(http, service))[0] for _ in range(4)] == [500, 500, 503, 503]
    service.faults.clear()
    assert (await ask(http, service))[0] == 200


async def test_calls_are_recorded_without_their_queries(http: ClientSession, service: Service) -> None:
    """R-16: a query can hold a code or a token. Redirects and errors of the handler are recorded too."""
    start = time.time()
    await ask(http, service, "/token?code=secret")
    await http.get(service.url + "/away", allow_redirects=False)
    await http.get(service.url + "/broken")
    await http.get(service.url + "/nowhere")
    calls = list(service.faults.calls)
    assert [(call.method, call.path, call.status) for call in calls] == [
        ("POST", "/token", 200),
        ("GET", "/away", 302),
        ("GET", "/broken", 500),
        ("GET", "/nowhere", 404),
    ]
    assert all(isinstance(call, Call) and start <= call.at <= time.time() for call in calls)


def test_the_record_of_calls_is_bounded() -> None:
    assert Faults().calls.maxlen == 10_000


@pytest.mark.parametrize(
    "fields", [{"action": "explode"}, {"action": "hang", "times": 0}, {"action": "hang", "path": "("}]
)
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises((ValueError, re.error)):
        Fault(**fields)  # type: ignore[arg-type]


async def test_the_throw_away_authority_is_trusted_by_its_bundle_only(
    http: ClientSession, listener: Listener, authority: LocalAuthority
) -> None:
    """Both names of the loopback are good; a client without the bundle refuses to talk."""
    service = Service(listener.url())
    await listener.serve(service.make_app())
    for host in ("localhost", "127.0.0.1"):
        async with http.get(f"{listener.url(host)}/token") as answer:
            assert answer.status == 200
    async with ClientSession() as stranger:
        with pytest.raises(ClientConnectorCertificateError):
            await stranger.get(f"{service.url}/token")
    assert authority.bundle.read_text().startswith("-----BEGIN CERTIFICATE-----")
