"""Escalate on a bad tool call: it is judged before it enters history, goes back once, then up a rung.

Run it: python examples/03_escalate.py   (whether the small model errs is up to the small model)
"""

import asyncio
import os
from pathlib import Path

from orchestra import Exhausted, Orchestra, Tool

FLEET = os.environ.get("ORCHESTRA_FLEET", Path(__file__).with_name("fleet.toml"))

# No grammar can hold a model to multipleOf: only checking the call against the original schema does.
ORDER = Tool.from_schema(
    "order",
    "Order bottles. They are sold in crates of twelve only.",
    {
        "type": "object",
        "properties": {
            "item": {"type": "string", "pattern": "^[a-z]+$"},
            "bottles": {"type": "integer", "minimum": 12, "multipleOf": 12},
        },
        "required": ["item", "bottles"],
        "additionalProperties": False,
    },
)


async def main() -> None:
    async with Orchestra.from_file(FLEET) as app:
        try:
            reply = await app.complete(
                "Order two crates of lemonade.", step="order", tools=[ORDER], tool_choice="required"
            )
            attempts = reply.attempts
        except Exhausted as end:
            reply, attempts = None, end.attempts
        for attempt in attempts:
            said = "; ".join(attempt.evidence) or "accepted"
            print(
                f"{attempt.model:7} {attempt.trigger or 'ok'}: {said}" + (f" → {attempt.action}" * bool(attempt.action))
            )
        if reply is None:
            print("No model could do it: nothing was ordered.")
        else:
            print(f"{reply.model} may order: {dict(reply.tool_calls[0].arguments or {})}")


asyncio.run(main())
