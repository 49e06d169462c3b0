"""The one server of benchmarks/dispatch.py: answers every chat at once with the same words, streamed where asked to.

It prints its port, and ends with its standard input. It reads no JSON: it must never be the slower side.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

WORDS = "The north sold most of all regions."
USAGE = {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}


def _envelope(kind: str, choices: Sequence[object], **more: object) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": "m-1", "choices": choices, **more}


def _whole() -> bytes:
    message = {"role": "assistant", "content": WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(_envelope("chat.completion", [choice], usage=USAGE)).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _streamed() -> bytes:
    deltas = [{"role": "assistant", "content": WORDS}, {}]
    choices = [
        [{"index": 0, "delta": delta, "finish_reason": finish}]
        for delta, finish in zip(deltas, (None, "stop"), strict=True)
    ]
    frames = [_envelope("chat.completion.chunk", choice) for choice in choices]
    frames.append(_envelope("chat.completion.chunk", [], usage=USAGE))
    body = "".join(f"data: {text}\n\n" for text in [*map(json.dumps, frames), "[DONE]"]).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


REPLIES = (_whole(), _streamed())


class Connection(asyncio.Protocol):
    """Requests with a content-length, one after another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._unread = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n") + 4) > 3:
            head = self._unread[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            if len(self._unread) < end + length:
                return
            body, self._unread = self._unread[end : end + length], self._unread[end + length :]
            self._transport.write(REPLIES[b'"stream":true' in body or b'"stream": true' in body])


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
