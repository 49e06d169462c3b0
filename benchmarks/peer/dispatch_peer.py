"""The peers' side of benchmarks/dispatch.py: one question through a client as its makers set it up; see crowd.py.

dispatch_peer.py (openai|litellm) URL
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from crowd import rounds

QUESTION: list[Any] = [{"role": "user", "content": "Which region sold most?"}]


async def main(peer: str, url: str) -> None:
    """Rounds, until standard input ends."""
    create: Any
    if peer == "litellm":
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks for a newer one as it is imported
        from litellm import Router

        served = {"model": "openai/m-1", "api_base": url, "api_key": "none"}
        create = Router(model_list=[{"model_name": "m-1", "litellm_params": served}]).acompletion
    else:
        from openai import AsyncOpenAI

        create = AsyncOpenAI(base_url=url, api_key="none").chat.completions.create

    async def call() -> None:
        reply = await create(model="m-1", messages=QUESTION)
        assert reply.usage.completion_tokens, reply

    await rounds(call)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
