"""The order that each provider demands of a conversation, as its errors and documentation tell."""

import re
from itertools import pairwise


def broken_rules(card, body):
    """What the provider would refuse of this model's conversation; empty for one it takes."""
    unsigned = _unsigned(body["contents"]) if card.model.startswith("gemini-3") else ()
    return [*_RULES[card.dialect](body), *unsigned]


def _blank(text):
    return not text.strip()


def _chat(body):
    """Each message with calls is followed by exactly its results; nothing is empty."""
    messages, seen = body["messages"], set()
    for place, message in enumerate(messages):
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        if message["role"] == "tool" and not _answers(messages, place):
            yield f"{place}: a result out of place"
        if calls != [one["tool_call_id"] for one in _following(messages, place, len(calls))]:
            yield f"{place}: the calls {calls} are not followed by their results"
        if set(calls) & seen or len(set(calls)) < len(calls):
            yield f"{place}: an id twice"
        seen |= set(calls)
        if message["role"] == "assistant" and not (calls or message.get("content")):
            yield f"{place}: the assistant says nothing"
        if message["role"] in ("system", "user") and not message["content"]:
            yield f"{place}: {message['role']} says nothing"
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block["type"] == "text" and _blank(block["text"]):
                yield f"{place}: a blank text"


def _following(messages, place, count):
    return [one for one in messages[place + 1 : place + 1 + count] if one["role"] == "tool"]


def _answers(messages, place):
    """Whether only results stand between a result and the message with its call."""
    while messages[place]["role"] == "tool" and place:
        place -= 1
    return bool(messages[place].get("tool_calls"))


def _mistral(body):
    """mistral-common's MistralRequestValidator: which role may follow which, and how ids look."""
    yield from _chat(body)
    after = {
        "": {"system", "user", "assistant"},
        "system": {"system", "user", "assistant"},
        "user": {"system", "user", "assistant"},
        "assistant": {"user", "assistant", "tool"},
        "tool": {"assistant", "tool"},
    }
    before, messages = "", body["messages"]
    for place, message in enumerate(messages):
        if message["role"] not in after[before]:
            yield f"{place}: unexpected role {message['role']!r} after role {before!r}"
        before = message["role"]
        for call in message.get("tool_calls") or ():
            if not re.fullmatch("[A-Za-z0-9]{9}", call["id"]):
                yield f"{place}: {call['id']!r} is no id"
    if not messages:
        yield "no message"
    elif before == "system" or (before == "assistant" and messages[-1].get("prefix") is not True):
        yield f"expected last role user or tool (or assistant with prefix true), got {before!r}"


def _responses(body):
    """Each call has one output, later; reasoning is followed by what it led to; no item twice; nothing is empty."""
    items = body["input"]
    if not items:
        yield "no input"
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    if calls != outputs or len(set(calls)) < len(calls):
        yield f"calls {calls}, outputs {outputs}"
    identities = [item["id"] for item in items if "id" in item]
    if len(set(identities)) < len(identities):
        yield f"an item twice: {identities}"
    for place, item in enumerate(items):
        if item.get("type") == "function_call_output" and item["call_id"] not in _called(items[:place]):
            yield f"{place}: an output before its call"
        if item.get("type") == "reasoning" and not _led_on(items[place + 1 : place + 2]):
            yield f"{place}: reasoning without the item that it led to"
        if "role" in item and not item["content"]:
            yield f"{place}: {item['role']} says nothing"


def _called(items):
    return {item["call_id"] for item in items if item.get("type") == "function_call"}


def _led_on(items):
    return any(item.get("type") in ("reasoning", "function_call") or item.get("role") == "assistant" for item in items)


def _turns(messages, said):
    """Both sides alternate, the user begins and ends, no turn is empty."""
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user" or roles[-1] != "user":
        yield f"the user does not begin and end: {roles}"
    if any(before == after for before, after in pairwise(roles)):
        yield f"the sides do not alternate: {roles}"
    for place, message in enumerate(messages):
        if not message[said]:
            yield f"{place}: {message['role']} says nothing"


def _answered(messages, call, result):
    """Results stand first in the turn after their calls, all of them, in order; `call` and `result` read an id."""
    seen = set()
    for place, message in enumerate(messages):
        calls = [one for block in message["content"] if (one := call(block))]
        following = messages[place + 1]["content"] if place + 1 < len(messages) else []
        if calls and [result(block) for block in following[: len(calls)]] != calls:
            yield f"{place}: the calls {calls} are not followed by their results"
        results = [one for block in message["content"] if (one := result(block))]
        asked = [one for block in messages[place - 1]["content"] if (one := call(block))] if place else []
        if results != asked:
            yield f"{place}: results {results} for the calls {asked}"
        if set(calls) & seen or len(set(calls)) < len(calls):
            yield f"{place}: an id twice"
        seen |= set(calls)


def _anthropic(body):
    messages = body["messages"]
    yield from _turns(messages, "content")
    yield from _answered(
        messages,
        lambda block: block["id"] if block["type"] == "tool_use" else None,
        lambda block: block["tool_use_id"] if block["type"] == "tool_result" else None,
    )
    blocks = [block for message in messages for block in message["content"]]
    inner = [one for block in blocks if block["type"] == "tool_result" for one in block.get("content", ())]
    if any(_blank(block["text"]) for block in [*body.get("system", ()), *blocks, *inner] if block["type"] == "text"):
        yield "a blank text"
    if any(block["type"].startswith("tool_") for block in blocks) and not body.get("tools"):
        yield "requests which include tool_use or tool_result blocks must define tools"
    for place, message in enumerate(messages):
        if message["role"] == "assistant" and "thinking" in message["content"][-1]["type"]:
            yield f"{place}: the final block cannot be thinking"
    failed = [block for block in blocks if block.get("is_error")]
    if any(one["type"] != "text" for block in failed for one in block.get("content", ())):
        yield "the content of a failed result must be text"


def _bedrock(body):
    messages = body.get("messages", [])
    yield from _turns(messages, "content")
    yield from _answered(
        messages,
        lambda block: block.get("toolUse", {}).get("toolUseId"),
        lambda block: block.get("toolResult", {}).get("toolUseId"),
    )
    blocks = [block for message in messages for block in message["content"]]
    inner = [one for block in blocks if "toolResult" in block for one in block["toolResult"]["content"]]
    if any(_blank(block["text"]) for block in [*body.get("system", ()), *blocks, *inner] if "text" in block):
        yield "a blank text"
    if any("toolUse" in block or "toolResult" in block for block in blocks) and not body.get("toolConfig"):
        yield "toolConfig must be defined when using toolUse and toolResult content blocks"
    for place, message in enumerate(messages):
        kinds = {kind for block in message["content"] for kind in block}
        if message["role"] == "assistant" and kinds & {"image", "document"}:
            yield f"{place}: media are the user's"
        if "document" in kinds and "text" not in kinds:
            yield f"{place}: a document without a text"
        if message["role"] == "assistant" and "reasoningContent" in message["content"][-1]:
            yield f"{place}: the final block cannot be thinking"


def _gemini(body):
    turns = body["contents"]
    if not turns or turns[0]["role"] != "user":
        yield "the user does not begin"
    for place, turn in enumerate(turns):
        if not turn["parts"]:
            yield f"{place}: no parts"
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        following = turns[place + 1]["parts"] if place + 1 < len(turns) else []
        results = [part["functionResponse"] for part in following if "functionResponse" in part]
        if calls and (turn["role"] != "model" or _identities(calls) != _identities(results)):
            yield f"{place}: {_identities(calls)} are called, {_identities(results)} answer"
        if results and not calls:
            yield f"{place + 1}: results without calls"
        if calls and turns[place - 1]["role"] != "user":
            yield f"{place}: a call does not come right after the user or a result"


def _identities(functions):
    return [(one.get("id"), one["name"]) for one in functions]


def _unsigned(turns):
    """Gemini 3 refuses a step of the current turn whose first call has no signature."""
    for turn in reversed(turns):
        if turn["role"] == "user" and not any("functionResponse" in part for part in turn["parts"]):
            return
        calls = [part for part in turn["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            yield "function call is missing a thought_signature"


_RULES = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock-converse": _bedrock,
    "mistral": _mistral,
    "cohere": _chat,
}
