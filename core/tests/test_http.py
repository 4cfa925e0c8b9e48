"""The way out: bounded, to public addresses only, never twice by itself, and it knows how certain a failure is."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import define, field, frozen

from fernamt import Http, HttpReply, Rejected, Throttled, Unreachable
from fernamt._runtime.http import MAX_CONNECTIONS_PER_HOST, MAX_REPLY_BYTES, ClientHttp
from fernamt._runtime.reachable import PrivateAddress, PublicResolver, is_public

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


@frozen
class Got:
    line: str
    headers: dict[str, str]
    body: bytes


@define
class Provider:
    """A server that does to each request what the script says, on the same connection as long as it stays open."""

    script: list[Act]
    got: list[Got] = field(factory=list)
    port: int = 0
    lost: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                if "chunked" in headers.get("transfer-encoding", ""):
                    body = await self.chunks(reader)
                else:
                    body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.got.append(Got(head[0], headers, body))
                await self.script[len(self.got) - 1](writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        finally:
            writer.close()

    async def chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body


def answers(content: bytes = b"{}", status: str = "200 OK", *headers: str) -> Act:
    async def act(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + content)
        await writer.drain()

    return act


async def closes(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()


async def says_nothing(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0)


async def truncates(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


async def talks_nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    await writer.drain()
    writer.close()


Start = Callable[..., Awaitable[Provider]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers = []

    async def start(*script: Act, tls: ssl.SSLContext | None = None) -> Provider:
        provider = Provider(list(script))
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        provider.port = server.sockets[0].getsockname()[1]
        return provider

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def http() -> AsyncIterator[ClientHttp]:
    http = ClientHttp(allow_private=frozenset({"127.0.0.1", "localhost"}), timeout_s=5)
    yield http
    await http.close()


class Names(AbstractResolver):
    """A resolver of the test's own."""

    def __init__(self, *addresses: str, hangs: bool = False) -> None:
        self.addresses = addresses
        self.hangs = hangs

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if self.hangs:
            await asyncio.Event().wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        return


async def test_a_request_is_sent_as_it_was_described_and_answered_with_all_that_came_back(
    start: Start, http: ClientHttp
) -> None:
    provider = await start(
        answers(b'{"id": "7"}', "201 Created", "X-Id: 7"), answers(), answers(), answers(b"", "404 Not Found")
    )
    url = f"http://127.0.0.1:{provider.port}/messages"
    way_out: Http = http

    reply = await way_out.request("post", url, headers={"X-Key": "k"}, query={"a": "ü&"}, json={"text": "Grüß Gott"})
    await http.request("POST", url, form={"To": "+49 30", "Body": "ü"})
    await http.request("PUT", url, body=b"\0\1", headers={"Content-Type": "audio/basic"})
    missing = await http.request("GET", url)

    assert (reply.status, reply.headers["x-ID"], reply.json()) == (201, "7", {"id": "7"})
    assert (missing.status, missing.body) == (404, b"")
    first, second, third, _ = provider.got
    assert first.line == "POST /messages?a=%C3%BC%26 HTTP/1.1"
    assert (first.headers["content-type"], first.headers["x-key"]) == ("application/json", "k")
    assert first.body == '{"text":"Grüß Gott"}'.encode()
    assert (second.headers["content-type"], second.body) == (
        "application/x-www-form-urlencoded",
        b"To=%2B49+30&Body=%C3%BC",
    )
    assert (third.headers["content-type"], third.body) == ("audio/basic", b"\0\1")


async def test_a_body_is_streamed_or_sent_whole_whatever_its_size(start: Start, http: ClientHttp) -> None:
    provider = await start(answers(), answers())
    url = f"http://127.0.0.1:{provider.port}/"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 32_768

    await http.request("POST", url, body=pieces())
    await http.request("POST", url, body=b"y" * 2_097_152)

    assert [got.body for got in provider.got] == [b"x" * 2_097_152, b"y" * 2_097_152]


async def test_two_kinds_of_body_are_a_mistake_of_the_caller(http: ClientHttp) -> None:
    with pytest.raises(ValueError, match="json, form or body"):
        await http.request("POST", "http://127.0.0.1/", json={}, body=b"x")


async def test_a_request_follows_no_redirect_and_keeps_no_cookie(start: Start, http: ClientHttp) -> None:
    provider = await start(answers(b"", "302 Found", "Location: /other", "Set-Cookie: a=1"), answers())
    url = f"http://127.0.0.1:{provider.port}/"

    assert (await http.request("GET", url)).status == 302
    await http.request("GET", url)
    assert [(got.line.split()[1], got.headers.get("cookie")) for got in provider.got] == [("/", None), ("/", None)]


# ---- how certain a failure is
@pytest.mark.parametrize(
    "act", [closes, resets, says_nothing, truncates, drips, talks_nonsense], ids=lambda act: act.__name__
)
async def test_a_failure_after_the_request_went_out_is_uncertain(act: Act, start: Start, http: ClientHttp) -> None:
    provider = await start(act)

    with pytest.raises(Unreachable) as caught:
        await http.request("POST", f"http://127.0.0.1:{provider.port}/", json={}, timeout_s=0.3)
    assert caught.value.certain is False
    assert len(provider.got) == 1


async def test_a_refused_connection_is_certain(http: ClientHttp) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match=r"^no connection to 127\.0\.0\.1: ") as caught:
            await http.request("POST", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert caught.value.certain is True


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (Names(), "the name gateway.example.org is not known"),
        (Names(hangs=True), "gateway.example.org could not be reached in time"),
    ],
    ids=["unknown", "hangs"],
)
async def test_a_name_that_is_not_resolved_is_certain(names: Names, reason: str) -> None:
    http = ClientHttp(resolver=names)

    with pytest.raises(Unreachable) as caught:
        await http.request("POST", "https://gateway.example.org/", timeout_s=0.1)
    await http.close()
    assert (caught.value.reason, caught.value.certain) == (reason, True)


async def test_a_handshake_that_fails_or_does_not_end_is_certain(
    start: Start, http: ClientHttp, tmp_path: Path
) -> None:
    plain = await start()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout key -out cert"
    subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    unknown = await start(answers(), tls=context)

    for port in (plain.port, silent.sockets[0].getsockname()[1], unknown.port):
        with pytest.raises(Unreachable) as caught:
            await http.request("POST", f"https://localhost:{port}/", timeout_s=0.3)
        assert caught.value.certain is True
    assert (plain.got, unknown.got) == ([], [])
    silent.close()


async def test_waiting_for_a_free_connection_is_certain(start: Start, http: ClientHttp) -> None:
    release = asyncio.Event()

    async def waits(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await answers()(writer)

    provider = await start(*[waits] * MAX_CONNECTIONS_PER_HOST)
    url = f"http://127.0.0.1:{provider.port}/"
    held = [asyncio.create_task(http.request("POST", url)) for _ in range(MAX_CONNECTIONS_PER_HOST)]
    while len(provider.got) < MAX_CONNECTIONS_PER_HOST:
        await asyncio.sleep(0)

    with pytest.raises(Unreachable) as caught:
        await http.request("POST", url, timeout_s=0.1)
    assert caught.value.certain is True
    release.set()
    assert {reply.status for reply in await asyncio.gather(*held)} == {200}


@pytest.mark.parametrize("act", [closes, resets], ids=lambda act: act.__name__)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE"])
async def test_a_request_on_a_kept_connection_that_breaks_is_not_sent_a_second_time(
    method: str, act: Act, start: Start, http: ClientHttp
) -> None:
    provider = await start(answers(), act, answers())
    url = f"http://127.0.0.1:{provider.port}/"
    await http.request(method, url)

    with pytest.raises(Unreachable) as caught:
        await http.request(method, url)
    assert caught.value.certain is False
    assert len(provider.got) == 2


async def test_a_cancelled_request_is_cancelled_and_its_connection_closed(start: Start, http: ClientHttp) -> None:
    provider = await start(says_nothing)
    task = asyncio.create_task(http.request("POST", f"http://127.0.0.1:{provider.port}/"))
    while not provider.got:
        await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(provider.lost.wait(), 5)


async def test_after_the_close_nothing_is_sent(start: Start) -> None:
    provider = await start()
    http = ClientHttp(allow_private=frozenset({"127.0.0.1"}))
    await http.close()

    with pytest.raises(Unreachable) as caught:
        await http.request("POST", f"http://127.0.0.1:{provider.port}/")
    assert caught.value.certain is True


# ---- limits
@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_is_limited_as_it_is_after_unpacking(packed: bool, start: Start, http: ClientHttp) -> None:
    large, fits = bytes(MAX_REPLY_BYTES + 1), bytes(MAX_REPLY_BYTES)
    header = ["Content-Encoding: gzip"] if packed else []
    provider = await start(*[answers(gzip.compress(it) if packed else it, "200 OK", *header) for it in (fits, large)])
    url = f"http://127.0.0.1:{provider.port}/"

    assert (await http.request("GET", url)).body == fits
    with pytest.raises(Unreachable, match="more than 8388608 bytes") as caught:
        await http.request("GET", url)
    assert caught.value.certain is False


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
async def test_a_header_with_a_line_break_is_rejected(value: str, http: ClientHttp) -> None:
    with pytest.raises(Rejected, match="'X-Name' contains a line break"):
        await http.request("GET", "http://127.0.0.1/", headers={"X-Name": value})


async def test_neither_errors_nor_log_repeat_path_query_or_credentials(start: Start, http: ClientHttp) -> None:
    provider = await start(answers(), closes)
    said = []
    with structlog.testing.capture_logs() as logged:
        for port in (provider.port, provider.port, 1):
            try:
                await http.request(
                    "POST", f"http://ann:hunter2@127.0.0.1:{port}/bot-hunter2/send", query={"key": "hunter2"}
                )
            except Unreachable as why:
                said += [str(why), repr(why.__cause__), str(why.__suppress_context__)]

    assert len(provider.got) == 2
    assert [event["event"] for event in logged] == ["http_answered", "http_failed", "http_failed"]
    assert said[2::3] == ["True", "True"]
    assert "hunter2" not in str(logged) + str(said)


# ---- which addresses
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.2.1", False),
        ("192.168.1.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("2002:a9fe:a9fe::", False),
        ("2001:0:7f00:1::1", False),
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("ff0e::1", False),
    ],
)
def test_only_what_everybody_could_reach_is_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://127.1:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://user:password@127.0.0.1:{port}/",
        "ftp://93.184.216.34/",
        "file:///etc/passwd",
        "http:///x",
        "http://93.184.216.34:99999/",
        "//127.0.0.1/",
        "nonsense",
    ],
)
async def test_an_address_that_may_not_be_called_is_rejected_and_not_connected(url: str, start: Start) -> None:
    provider = await start(answers())
    http = ClientHttp()

    with pytest.raises(Rejected):
        await http.request("POST", url.format(port=provider.port))
    with pytest.raises(Rejected):
        async for _ in http.download(url.format(port=provider.port), max_bytes=1):
            pass
    await http.close()
    assert provider.got == []


async def test_a_name_gives_only_its_public_addresses_and_is_refused_if_it_has_none() -> None:
    mixed = PublicResolver(Names("10.0.0.1", "93.184.216.34", "::1"), frozenset())

    assert [it["host"] for it in await mixed.resolve("x.example.org", 443)] == ["93.184.216.34"]
    with pytest.raises(PrivateAddress, match=r"x\.example\.org is not a public address"):
        await PublicResolver(Names("10.0.0.1", "169.254.169.254"), frozenset()).resolve("x.example.org", 443)


@pytest.mark.parametrize(
    ("allowed", "host", "port", "open_"),
    [
        ("gateway.lan", "gateway.lan", 80, True),
        ("Gateway.lan", "GATEWAY.LAN.", 80, True),
        ("gateway.lan:8443", "gateway.lan", 8443, True),
        ("gateway.lan:8443", "gateway.lan", 80, False),
        ("gateway.lan", "evil.gateway.lan", 80, False),
        ("10.0.0.1", "other.lan", 80, False),
    ],
)
async def test_a_host_of_the_own_network_is_reached_only_if_it_is_named(
    allowed: str, host: str, port: int, open_: bool
) -> None:
    resolver = PublicResolver(Names("10.0.0.1"), frozenset({allowed}))

    if open_:
        assert [it["host"] for it in await resolver.resolve(host, port)] == ["10.0.0.1"]
    else:
        with pytest.raises(PrivateAddress):
            await resolver.resolve(host, port)


@pytest.mark.parametrize(
    ("allowed", "host", "port"),
    [("10.0.0.1", "10.0.0.1", 1), ("10.0.0.1:1", "10.0.0.1", 1), ("[fd00::1]:1", "fd00::1", 1), ("::1", "[::1]", 1)],
)
def test_a_literal_address_of_the_own_network_may_be_named(allowed: str, host: str, port: int) -> None:
    PublicResolver(Names(), frozenset({allowed})).check_literal(host, port)
    with pytest.raises(PrivateAddress):
        PublicResolver(Names(), frozenset()).check_literal(host, port)


# ---- downloads
async def collected(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_a_file_comes_in_pieces(start: Start, http: ClientHttp) -> None:
    content = bytes(range(256)) * 1024
    provider = await start(answers(content))
    pieces = [piece async for piece in http.download(f"http://127.0.0.1:{provider.port}/", max_bytes=len(content))]

    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 65_536


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (answers(b"", "404 Not Found"), Rejected),
        (answers(b"", "206 Partial Content"), Rejected),
        (answers(b"", "302 Found"), Rejected),
        (answers(b"", "503 Service Unavailable"), Unreachable),
        (answers(b"", "429 Too Many Requests", "Retry-After: 7"), Throttled),
        (answers(b"x" * 101), Rejected),
        (answers(gzip.compress(bytes(101)), "200 OK", "Content-Encoding: gzip"), Rejected),
        (truncates, Unreachable),
        (closes, Unreachable),
    ],
    ids=["404", "206", "nowhere", "503", "429", "long", "long when unpacked", "truncated", "closed"],
)
async def test_a_file_that_does_not_come_whole_raises(
    act: Act, error: type[Exception], start: Start, http: ClientHttp
) -> None:
    provider = await start(act)

    with pytest.raises(error) as caught:
        await collected(http.download(f"http://127.0.0.1:{provider.port}/", max_bytes=100))
    assert getattr(caught.value, "after_s", 7.0) == 7.0


async def test_redirects_are_followed_and_headers_stay_with_their_host(start: Start, http: ClientHttp) -> None:
    last = await start(answers(b"file"))
    first = await start(
        answers(b"", "302 Found", "Location: /second"),
        answers(b"", "307 Temporary Redirect", f"Location: http://localhost:{last.port}/third"),
    )
    headers = {"Authorization": "Bearer t", "X-Api-Key": "k"}
    content = await collected(http.download(f"http://127.0.0.1:{first.port}/first", headers=headers, max_bytes=10))

    assert content == b"file"
    assert [got.headers.get("authorization") for got in first.got] == ["Bearer t", "Bearer t"]
    assert [{"authorization", "x-api-key"} & got.headers.keys() for got in last.got] == [set()]


async def test_the_fourth_redirect_is_not_followed(start: Start, http: ClientHttp) -> None:
    provider = await start(*[answers(b"", "302 Found", "Location: /on")] * 5)

    with pytest.raises(Rejected, match="more than 3 times"):
        await collected(http.download(f"http://127.0.0.1:{provider.port}/", max_bytes=10))
    assert len(provider.got) == 4


@pytest.mark.parametrize(
    "location", ["http://localhost:{port}/", "http://169.254.169.254/", "file:///etc/passwd", "http://[", ""]
)
async def test_every_hop_of_a_redirect_is_checked(location: str, start: Start) -> None:
    inner = await start(answers(b"secret"))
    outer = await start(answers(b"", "302 Found", f"Location: {location.format(port=inner.port)}"))
    http = ClientHttp(allow_private=frozenset({f"127.0.0.1:{outer.port}"}))

    with pytest.raises(Rejected):
        await collected(http.download(f"http://127.0.0.1:{outer.port}/", max_bytes=10))
    await http.close()
    assert inner.got == []


async def test_a_download_that_is_given_up_closes_its_connection(start: Start, http: ClientHttp) -> None:
    provider = await start(drips)
    pieces: Any = http.download(f"http://127.0.0.1:{provider.port}/", max_bytes=1000)

    assert await anext(pieces) == b"half"
    await pieces.aclose()
    await asyncio.wait_for(provider.lost.wait(), 5)


# ---- when to come again
NOON = "Sat, 21 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("said", "after_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Sat, 21 Nov 2026 12:02:00 GMT", "Date": NOON}, 120.0),
        ({"Retry-After": "Saturday, 21-Nov-26 12:02:00 GMT", "Date": NOON}, 120.0),
        ({"Retry-After": "Sat Nov 21 12:02:00 2026", "Date": "Sat Nov 21 12:00:00 2026"}, 120.0),
        ({"Retry-After": "Sat, 21 Nov 2026 13:02:00 +0100", "Date": NOON}, 120.0),
        ({"Retry-After": "Sat, 21 Nov 2026 11:00:00 GMT", "Date": NOON}, 0.0),
        ({"Retry-After": "Sat, 21 Nov 2026 12:02:00 GMT"}, 30.0),
        ({"Retry-After": "Sat Nov 21 12:02:00 2026", "Date": NOON}, 30.0),
        ({"Retry-After": "soon", "Date": NOON}, 30.0),
        ({"Retry-After": "-7", "Date": NOON}, 30.0),
        ({"Retry-After": "nan", "Date": NOON}, 30.0),
        ({"Retry-After": "²", "Date": NOON}, 30.0),
        ({"Retry-After": "", "Date": NOON}, 30.0),
        ({}, 30.0),
    ],
)
def test_when_to_come_again_is_read_in_both_forms_and_by_the_providers_clock(
    said: dict[str, str], after_s: float
) -> None:
    assert HttpReply(status=429, headers=said, body=b"").retry_after_s(30.0) == after_s


async def test_a_download_comes_again_at_the_date_that_it_was_told(start: Start, http: ClientHttp) -> None:
    later = "Retry-After: Sat, 21 Nov 2026 12:02:00 GMT"
    provider = await start(answers(b"", "429 Too Many Requests", f"Date: {NOON}", later))

    with pytest.raises(Throttled) as caught:
        async for _ in http.download(f"http://127.0.0.1:{provider.port}/x", max_bytes=100):
            pass
    assert caught.value.after_s == 120
