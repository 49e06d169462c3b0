"""The peers' side of benchmarks/dialects.py: openai's SDK, or litellm on it; a line in, microseconds per call out.

dialects_peer.py (openai|litellm) (chat|stream) FILE
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import openai

NUMBER = 20


def client(data: dict[str, Any], kind: str) -> openai.OpenAI:
    """Openai's client, on the HTTP client that it is made with, which answers from memory."""
    base = next(each for each in openai.DefaultHttpxClient.__mro__ if not each.__module__.startswith("openai"))
    http = import_module(base.__module__.partition(".")[0])  # httpx, or what this version has in its place
    whole, chunks = data["whole"].encode(), [chunk.encode() for chunk in data["chunks"]]

    def answer(_: object) -> Any:
        if kind == "chat":
            return http.Response(200, content=whole, headers={"content-type": "application/json"})
        return http.Response(200, content=iter(chunks), headers={"content-type": "text/event-stream"})

    memory = http.Client(transport=http.MockTransport(answer))
    return openai.OpenAI(api_key="none", base_url="http://memory.invalid/v1", http_client=memory, max_retries=0)


def call(peer: str, kind: str, data: dict[str, Any]) -> Callable[[], object]:
    """One call with ten messages and ten tools; a stream is read to its end."""
    asked = {"messages": data["body"]["messages"], "tools": data["body"]["tools"]}
    if kind == "stream":
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    ours = client(data, kind)
    if peer == "litellm":
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks for a newer one as it is imported
        import litellm

        def made() -> Any:
            return litellm.completion(model="openai/m-1", client=ours, api_key="none", **asked)
    else:

        def made() -> Any:
            return ours.chat.completions.create(model="m-1", **asked)

    return made if kind == "chat" else lambda: [chunk.choices for chunk in made()]


def main(peer: str, kind: str, file: str) -> None:
    """CPU of a call for every line that comes in."""
    work = call(peer, kind, json.loads(Path(file).read_text("utf-8")))
    for _ in range(NUMBER):
        assert work()
    print("ready", flush=True)
    for _ in sys.stdin:
        before = time.process_time()
        for _ in range(NUMBER):
            work()
        print((time.process_time() - before) * 1e6 / NUMBER, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
