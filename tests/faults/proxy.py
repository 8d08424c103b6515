"""A TCP proxy between workers and a broker that can be told to spoil what passes through it.

It passes on whole frames of Kafka's protocol, whose length is in front of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from tests.faults.frames import flipped
from worker.tools.local.children import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_HOST = "127.0.0.1"
_LOOK_S = 0.02
_HEAD = 4  # bytes of a frame's length
_LARGE = 100  # bytes of a frame that is worth a cut


@dataclass
class Weather:
    """What happens to frames from now on, in both directions.

    Each is late by `delay_s`. While it is `stalled` none passes and new connections wait, as in a network that fell
    apart. The next `flips` of those with records get a bit turned over; the next `cuts` of those that are not small end
    in their middle, and their connections with them.
    """

    delay_s: float = 0.0
    stalled: bool = False
    flips: int = 0
    cuts: int = 0


class Proxy:
    """Listens on `port` and passes on to `target`, a port that is to be set before the first client comes."""

    def __init__(self, seed: int = 0) -> None:
        self.port = free_port()
        self.target = 0
        self.weather = Weather()
        self.chance = random.Random(seed)
        self.links: set[_Link | None] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and listen no more."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> int:
        """End every connection by a reset, on both sides, and return how many there were."""
        return self._call(self._on_each(_Link.reset))

    def forget(self) -> int:
        """Leave every connection half open, and return how many there were.

        The broker sees its end, the worker sees nothing; what it sends is swallowed.
        """
        return self._call(self._on_each(_Link.forget))

    async def passable(self) -> None:
        """Wait until the network is in one piece."""
        while self.weather.stalled:  # noqa: ASYNC110 - another thread changes the weather
            await asyncio.sleep(_LOOK_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, _HOST, self.port)

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_each(self, act: Callable[[_Link], None]) -> int:
        links = [link for link in self.links if link is not None]
        for link in links:
            act(link)
        return len(links)

    def _call(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = None
        try:
            await self.passable()
            link = _Link(self, (reader, writer), await asyncio.open_connection(_HOST, self.target))
            self.links.add(link)
            await link.run()
        except OSError:  # no broker there, or a connection ended
            pass
        finally:
            self.links.discard(link)
            writer.close()


class _Link:
    """A connection of a client, and the one to the broker behind it."""

    def __init__(self, proxy: Proxy, client: Ends, broker: Ends) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._forgotten = False

    async def run(self) -> None:
        """Pass frames on until one side ends, then end the other; of a forgotten one, until the client ends."""
        pumps = [
            asyncio.create_task(self._pump(self._client[0], self._broker[1])),
            asyncio.create_task(self._pump(self._broker[0], self._client[1])),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self._forgotten:
                await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._broker[1].close()

    def reset(self) -> None:
        """End both sides at once."""
        for _, writer in (self._client, self._broker):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def forget(self) -> None:
        """End the broker's side alone, and pass nothing on any more."""
        self._forgotten = True
        self._broker[1].close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            whole = True
            while whole:
                head = await reader.readexactly(_HEAD)
                frame = head + await reader.readexactly(int.from_bytes(head))
                await asyncio.sleep(self._proxy.weather.delay_s)
                await self._proxy.passable()
                if not self._forgotten:
                    frame, whole = self._spoil(frame)
                    writer.write(frame)
                    await writer.drain()

    def _spoil(self, frame: bytes) -> tuple[bytes, bool]:
        """Return what is left of a frame, and whether the connection goes on."""
        weather, chance = self._proxy.weather, self._proxy.chance
        if weather.flips and (changed := flipped(frame, chance)):
            weather.flips -= 1
            return changed, True
        if weather.cuts and len(frame) > _LARGE:
            weather.cuts -= 1
            return frame[: chance.randrange(_HEAD + 1, len(frame))], False
        return frame, True
