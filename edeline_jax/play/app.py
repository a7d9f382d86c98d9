"""The server's side of the page: one document, and a socket for each visitor."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from edeline_jax.play.document import read_document
from edeline_jax.play.gate import Gate
from edeline_jax.play.messages import MOST_PICTURE_BYTES, Message, MessageError, parse
from edeline_jax.play.rate import Rate
from edeline_jax.play.stage import Stage
from edeline_jax.play.visitor import Farewell, Visitor
from edeline_jax.play.worker import Worker

CLOSING = 5.0  # s, for a page that no longer listens


class House(NamedTuple):
    """How many may play, and how long a visitor may do nothing, in seconds."""

    max_sessions: int
    idle_seconds: float


def make_app(stage: Stage, gate: Gate, house: House) -> Starlette:
    """The application; its worker thread runs as long as it does."""
    document = read_document()
    visitors: set[Visitor] = set()
    seeds = itertools.count()
    workers: list[Worker] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        workers.append(Worker(stage, asyncio.get_running_loop()))
        yield
        for visitor in visitors:
            visitor.dismiss(Farewell(1001, "the program has ended"))
        await asyncio.to_thread(workers[0].close)

    async def page(request: Request) -> Response:
        if refusal := gate.refuse(request.headers, request.query_params, is_socket=False):
            return PlainTextResponse(f"{refusal}\n", 403)
        return Response(document.html, media_type="text/html", headers=document.headers)

    async def play(socket: WebSocket) -> None:
        if gate.refuse(socket.headers, socket.query_params, is_socket=True):
            await socket.close(1008)  # before it is accepted: the answer is 403
            return
        await socket.accept()
        if len(visitors) >= house.max_sessions:
            await socket.close(1013, f"all {house.max_sessions} places are taken; come back later")
            return
        visitor = Visitor(next(seeds))
        visitors.add(visitor)
        workers[0].enter(visitor)
        try:
            await _serve(socket, visitor, workers[0], house)
        finally:
            visitors.discard(visitor)
            visitor.dismiss(Farewell(1001, "gone"))
            workers[0].leave(visitor)

    return Starlette(routes=[Route("/", page), WebSocketRoute("/play", play)], lifespan=lifespan)


async def _serve(socket: WebSocket, visitor: Visitor, worker: Worker, house: House) -> None:
    """Until the page goes, or has to."""
    hearing = asyncio.create_task(_hear(socket, visitor, worker, house.idle_seconds))
    telling = asyncio.create_task(_tell(socket, visitor))
    await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
    if not hearing.done():  # the page has to go, or it no longer takes anything
        hearing.cancel()
    elif visitor.farewell is not None:
        await asyncio.wait((telling,), timeout=CLOSING)
    telling.cancel()
    done, _ = await asyncio.wait((hearing, telling))
    for task in done:
        if not task.cancelled():
            task.result()


async def _hear(socket: WebSocket, visitor: Visitor, worker: Worker, idle_seconds: float) -> None:
    """Passes messages on until the page is gone; the visitor is dismissed at a wrong one, too many, or none."""
    rate, heard = Rate(time.monotonic()), time.monotonic()
    while visitor.farewell is None:
        try:
            async with asyncio.timeout(heard + idle_seconds - time.monotonic()):
                event = await socket.receive()
        except TimeoutError:
            return visitor.dismiss(Farewell(1000, f"nothing was pressed for {idle_seconds / 60:g} minutes"))
        if event["type"] != "websocket.receive":
            return None
        try:
            message = _read(event)
        except MessageError as error:
            return visitor.dismiss(Farewell(1008, str(error)))
        now = time.monotonic()
        if not rate.allows(message, now):
            return visitor.dismiss(Farewell(1008, "too many messages"))
        if isinstance(message, Message) and message.kind == "seen":
            visitor.seen()
        else:
            heard = now
            worker.tell(visitor, message)
    return None


def _read(event: Mapping) -> Message | bytes:
    if (text := event.get("text")) is not None:
        return parse(text)
    if len(event["bytes"]) > MOST_PICTURE_BYTES:
        raise MessageError(f"the picture has more than {MOST_PICTURE_BYTES:,} bytes")
    return event["bytes"]


async def _tell(socket: WebSocket, visitor: Visitor) -> None:
    """Sends what there is to send until the visitor has to go, or is gone."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it is gone
        while not isinstance(message := await visitor.next(), Farewell):
            await socket.send_bytes(message)
        async with asyncio.timeout(CLOSING):
            await socket.close(message.code, message.reason)
