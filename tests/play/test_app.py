"""The server without a network: who may come in, who has to go, and that nobody holds up the others."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest

from edeline_jax.play.gate import Gate, make_gate
from edeline_jax.play.messages import MOST_PICTURE_BYTES, Message
from edeline_jax.play.picture import decode, encode
from edeline_jax.play.rate import BURST, Rate
from edeline_jax.play.session import Picture, Session
from edeline_jax.play.stage import Stage
from edeline_jax.play.visitor import MOST_ANSWERS, MOST_UNSEEN, Farewell, Visitor
from tests.play.stages import make_action_stage

pytest.importorskip("starlette", reason="needs the extra `play`")
pytest.importorskip("httpx", reason="Starlette's client for tests needs httpx")
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx`")
testclient = pytest.importorskip("starlette.testclient")
WebSocketDisconnect = pytest.importorskip("starlette.websockets").WebSocketDisconnect

LOCAL = {"host": "localhost:8080", "origin": "http://localhost:8080"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = make_action_stage()
    stage.programs.wait(stage.programs.sampler)
    yield stage
    stage.programs.close()


def serve(stage: Stage, token: str = "", max_sessions: int = 3, idle_seconds: float = 60) -> "testclient.TestClient":
    from edeline_jax.play.app import House, make_app

    return testclient.TestClient(make_app(stage, Gate(token), House(max_sessions, idle_seconds)))


@pytest.fixture
def client(stage: Stage) -> "Iterator[testclient.TestClient]":
    with serve(stage) as client:
        yield client


def visit(client: "testclient.TestClient", path: str = "/play", **headers: str) -> "testclient.WebSocketTestSession":
    return client.websocket_connect(path, headers=LOCAL | headers)


def say(socket: "testclient.WebSocketTestSession", kind: str, **values: object) -> None:
    socket.send_text(json.dumps({"kind": kind, **values}))


def hear(socket: "testclient.WebSocketTestSession", kind: str) -> dict:
    """The header of the next message of a kind; pictures are said to be seen."""
    while True:
        header, _, _ = decode(socket.receive_bytes())
        if header["kind"] == "picture":
            say(socket, "seen")
        if header["kind"] == kind:
            return header


def reason(socket: "testclient.WebSocketTestSession") -> tuple[int, str]:
    """Why the socket is closed."""
    with pytest.raises(WebSocketDisconnect) as closed:
        while True:
            socket.receive_bytes()
    return closed.value.code, closed.value.reason


def test_a_visitor_plays(client: "testclient.TestClient") -> None:
    with visit(client) as socket:
        assert hear(socket, "hello")["actions"][2] == {"name": "RIGHT", "buttons": ["right"]}
        assert hear(socket, "start")["label"].startswith("episode")
        assert hear(socket, "picture")["dream"]["step"] == 0
        say(socket, "act", action=2)
        while hear(socket, "picture")["dream"]["action"] != 2:
            pass
        say(socket, "pause", paused=True)
        while not hear(socket, "picture")["settings"]["paused"]:
            pass
        say(socket, "record", on=True)
        say(socket, "step")
        while hear(socket, "picture")["settings"]["recorded"] == 0:
            pass
        say(socket, "download", file="dataset")
        assert hear(socket, "file")["name"] == "episodes.zip"
        socket.send_bytes(b"no picture")
        assert hear(socket, "note")["text"] == "the picture is no PNG"


def test_the_page_is_one_document_that_loads_nothing(client: "testclient.TestClient") -> None:
    answer = client.get("/", headers=LOCAL)
    assert answer.status_code == 200 and "STYLE" not in answer.text and "SCRIPT" not in answer.text
    assert (
        "http" not in answer.text.replace("https:", "")
        and "default-src 'none'" in answer.headers["content-security-policy"]
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8080"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "192.168.0.7:8080"},
    ],
)
def test_a_foreign_host_is_refused(client: "testclient.TestClient", headers: dict[str, str]) -> None:
    assert client.get("/", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), visit(client, **headers, origin=f"http://{headers['host']}"):
        pass


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost:9090", "file://localhost:8080", "http://[localhost"]
)
def test_a_foreign_page_is_refused(client: "testclient.TestClient", origin: str) -> None:
    with pytest.raises(WebSocketDisconnect), visit(client, origin=origin):
        pass
    with visit(client, host="127.0.0.1:9000", origin="http://127.0.0.1:9000") as socket:  # through a tunnel
        hear(socket, "picture")


def test_a_token_is_asked_for_where_others_can_reach_the_server(stage: Stage) -> None:
    assert make_gate("127.0.0.1").token == make_gate("::1").token == ""
    tokens = {make_gate(host).token for host in ("0.0.0.0", "::", "192.168.0.7", "my-machine")}
    assert len(tokens) == 4 and all(len(token) > 20 for token in tokens)
    elsewhere = {"host": "my-machine:8080", "origin": "http://my-machine:8080"}
    with serve(stage, token="secret") as client:
        for query in ("", "?token=", "?token=secre", "?token=secrets", "?Token=secret"):
            assert client.get(f"/{query}", headers=elsewhere).status_code == 403
            with pytest.raises(WebSocketDisconnect), visit(client, f"/play{query}", **elsewhere):
                pass
        assert client.get("/?token=secret", headers=elsewhere).status_code == 200
        with pytest.raises(WebSocketDisconnect), visit(client, "/play?token=secret", host="my-machine:8080"):
            pass  # the token does not make up for a foreign page
        with visit(client, "/play?token=secret", **elsewhere) as socket:
            hear(socket, "picture")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("x", "a message that is no JSON"),
        ('{"kind": "act", "action": 3}', "act: the game has 3 actions"),
        ('{"kind": "look", "episode": 9, "step": 0}', "no such step is recorded"),
        ('{"kind": "sampler", "steps": 1, "order": 1, "churn": 3}', "sampler: churn is one of 0, 0.5, 1, 2, 4"),
        (b"\x00" * (MOST_PICTURE_BYTES + 1), "the picture has more than 1,000,000 bytes"),
    ],
)
def test_a_malformed_message_closes_its_socket_alone(
    client: "testclient.TestClient", message: str | bytes, words: str
) -> None:
    with visit(client) as other, visit(client) as socket:
        hear(socket, "picture")
        (socket.send_bytes if isinstance(message, bytes) else socket.send_text)(message)
        assert reason(socket) == (1008, words)
        step = hear(other, "picture")["dream"]["step"]
        assert hear(other, "picture")["dream"]["step"] > step


def test_too_many_messages_close_the_socket(client: "testclient.TestClient") -> None:
    with visit(client) as socket:
        for _ in range(int(BURST) + 200):
            say(socket, "act", action=None)
        assert reason(socket) == (1008, "too many messages")


def test_a_rate_fills_again_with_time() -> None:
    rate = Rate(0.0)
    act, download = Message("act", {"action": 1}), Message("download", {"file": "gif"})
    assert all(rate.allows(download, 0.0) for _ in range(3)) and not rate.allows(act, 0.0)
    assert all(rate.allows(act, 1.0) for _ in range(100))
    rate = Rate(0.0)
    assert all(rate.allows(act, i / 120) for i in range(10_000))  # 60 pictures a second, and as many keys


def test_there_are_only_so_many_places(client: "testclient.TestClient") -> None:
    with visit(client) as one, visit(client) as two:
        with visit(client):
            with visit(client) as fourth:
                assert reason(fourth) == (1013, "all 3 places are taken; come back later")
            hear(one, "picture")
        with visit(client) as again:
            hear(again, "picture")
        hear(two, "picture")


def test_who_does_nothing_has_to_go(stage: Stage) -> None:
    """Having seen pictures does not count."""
    with serve(stage, idle_seconds=0.6) as client, visit(client) as socket:
        began = time.monotonic()
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                if time.monotonic() - began < 0.4:
                    say(socket, "pace", pace=30)
                hear(socket, "picture")
        assert (closed.value.code, closed.value.reason) == (1000, "nothing was pressed for 0.01 minutes")
        assert time.monotonic() - began > 0.8


def test_who_reads_nothing_holds_up_nobody(client: "testclient.TestClient") -> None:
    """It gets a few pictures, and its game stops for want of a player; the others keep their pace."""
    with visit(client) as silent, visit(client) as other:
        for socket in (silent, other):
            say(socket, "horizon", horizon=None)
            say(socket, "pace", pace=40)
        hear(other, "picture")
        began, count = time.monotonic(), 0
        while time.monotonic() - began < 1.5:
            hear(other, "picture")
            count += 1
        assert count > 1.5 * 40 * 0.8
        unread = [decode(silent.receive_bytes())[0] for _ in range(2 + MOST_UNSEEN)]
        assert [header["kind"] for header in unread] == ["hello", "start"] + ["picture"] * MOST_UNSEEN
        say(silent, "seen")
        newest = decode(silent.receive_bytes())[0]
        assert newest["dream"]["step"] > unread[-1]["dream"]["step"] + 20  # the ones between were left out


def test_visitors_who_come_and_vanish_leave_nothing_behind(client: "testclient.TestClient") -> None:
    for number in range(50):
        with visit(client) as socket:
            if number % 2:
                say(socket, "world", world=("real", "both")[number % 4 // 2])
                hear(socket, "hello")
    with visit(client) as one, visit(client) as two, visit(client) as three:
        for socket in (one, two, three):
            hear(socket, "picture")


def test_an_error_in_a_session_ends_it_alone(client: "testclient.TestClient", monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(session: Session) -> None:
        raise ZeroDivisionError

    with visit(client) as other, visit(client) as socket:
        hear(socket, "picture")
        monkeypatch.setattr(Session, "_on_step", fail)
        say(socket, "step")
        assert reason(socket) == (1011, "an error of the program; its terminal says more")
        hear(other, "picture")


def test_a_newer_picture_takes_the_place_of_one_that_waits() -> None:
    async def scenario() -> None:
        visitor = Visitor(0)
        pictures = [Picture(encode({"number": number})) for number in range(10)]
        for picture in pictures[:MOST_UNSEEN]:
            visitor.deliver(picture, 0.0)
            assert await visitor.next() is picture
        for picture in pictures[MOST_UNSEEN:]:
            visitor.deliver(picture, 1.0)
        visitor.deliver(b"answer", 1.0)
        assert await visitor.next() == b"answer"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await visitor.next()
        assert not visitor.is_stalled(2.9) and visitor.is_stalled(3.1)
        visitor.seen()
        assert await visitor.next() is pictures[-1]
        assert not visitor.is_stalled(9.0)
        for _ in range(MOST_ANSWERS + 1):
            visitor.deliver(b"answer", 9.0)
        assert await visitor.next() == Farewell(1008, "the page takes no answers")

    asyncio.run(scenario())
