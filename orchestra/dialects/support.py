"""What each dialect supports, as documentation: made of what the codecs use, so the docs cannot say anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from orchestra.dialects.catalog import CODECS
from orchestra.dialects.chat_profiles import PROFILES, ChatProfile
from orchestra.dialects.features import FEATURES
from orchestra.dialects.tool_enforced import ENFORCED, Enforced
from orchestra.dialects.tool_names import Spelling
from orchestra.types import Message, ModelCard, Request

Shown: TypeAlias = Callable[[Any], str]


def support() -> str:
    """The generated part of docs/dialects.md: what every dialect says and enforces, and the servers of openai-chat."""
    parts = (_addresses(), _features(), _enforced(), _servers())
    return "\n\n".join("\n".join(part) for part in parts)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _addresses() -> Iterator[str]:
    """Where a streamed request goes, and what carries the key."""
    rows: list[tuple[str, ...]] = []
    for dialect, spoken in CODECS.items():
        card = ModelCard("any", provider="any", dialect=dialect, tier="any", model="MODEL")
        carried = "; ".join(f"`{name}: {value}`" for name, value in spoken.authorization("KEY"))
        path = spoken.encode(Request((Message.user("hi"),)), card).path
        rows.append((f"`{dialect}`", FEATURES[dialect].title, f"`{path}`", carried))
    return _table(("dialect", "API", "path below `base_url`", "key"), rows)


def _features() -> Iterator[str]:
    rows = (
        (title, *(show(getattr(each, name)) for each in FEATURES.values())) for name, (title, show) in _ROWS.items()
    )
    return _table(("", *(f"`{dialect}`" for dialect in FEATURES)), rows)


def _enforced() -> Iterator[str]:
    rules: Iterable[tuple[str, Callable[[Enforced], str]]] = (
        ("keywords beyond types, properties, items, enums", lambda each: _names(each.keywords)),
        ("formats", lambda each: _names(each.formats)),
        ("unions", lambda each: _yes(each.unions)),
        ("recursion", lambda each: _yes(each.recursion)),
        ("optional properties", lambda each: "as null" if each.all_required else "yes"),
        ("limits of a tool", lambda each: _limits(each.limits)),
        ("limits of a request", lambda each: _limits(each.shared) + (", all tools or none" if each.together else "")),
    )
    rows = ((title, *(show(each) for each in ENFORCED.values())) for title, show in rules)
    return _table(("strict tools", *(f"`{dialect}`" for dialect in ENFORCED)), rows)


def _servers() -> Iterator[str]:
    """How the known servers differ from OpenAI's own."""
    return _table(
        ("provider", "differs from `openai` in"),
        ((f"`{name}`", _differences(profile)) for name, profile in PROFILES.items() if name != "openai"),
    )


def _differences(profile: ChatProfile) -> str:
    own, known = profile.features, FEATURES["openai-chat"]
    changed = [
        f"{title}: {show(getattr(own, name))}"
        for name, (title, show) in _ROWS.items()
        if getattr(own, name) != getattr(known, name)
    ]
    plain = ChatProfile(own, ())
    changed += [
        f"{title}: {_field(getattr(profile, name))}"
        for name, title in _FIELDS.items()
        if getattr(profile, name) != getattr(plain, name)
    ]
    return "; ".join(changed)


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _most(value: float) -> str:
    return f"0 to {value:g}" if value else "no"


def _whole(values: range) -> str:
    return f"{_power(values[0])} to {_power(values[-1] + 1)} - 1" if values else "no"


def _power(bound: int) -> str:
    """A power of two as one; 0 as itself."""
    return f"{'-' * (bound < 0)}2^{abs(bound).bit_length() - 1}" if bound else "0"


def _some(values: Iterable[str] | None) -> str:
    return "the same" if values is None else _names(values)


def _names(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values)) or "no"


def _limits(limits: Mapping[str, int]) -> str:
    return ", ".join(f"{most:,} {what}" for what, most in limits.items()) or "none known"


def _spelled(spelling: Spelling) -> str:
    lead = f"[{spelling.lead}] first, " if spelling.lead else ""
    size = str(spelling.limit) if spelling.exact else f"1,{spelling.limit}"
    return f"`{lead}[{spelling.characters}]{{{size}}}`"


def _field(value: object) -> str:
    if isinstance(value, bool):
        return _yes(value)
    return f"`{'.'.join(cast('tuple[str, ...]', value))}`" if isinstance(value, tuple) else f"`{value}`"


_ROWS: Mapping[str, tuple[str, Shown]] = {
    "tool_names": ("tool names", _spelled),
    "call_ids": ("call ids", _spelled),
    "tool_choice": ("tool choice", _names),
    "parallel_switch": ("parallel calls can be switched off", _yes),
    "strict": ("schemas of tools can be enforced", _yes),
    "structured": ("a schema for the answer (else it stands in the prompt)", _yes),
    "temperature": ("`temperature`", _most),
    "seed": ("`seed`", _whole),
    "least_tokens": ("`max_tokens`, at least", str),
    "stop": ("stop sequences", str),
    "logprobs": ("log-probabilities", _yes),
    "reasoning_effort": ("reasoning effort", _yes),
    "images": ("images", _names),
    "documents": ("documents", _names),
    "image_types": ("media types of images", _names),
    "document_types": ("media types of documents", _names),
    "result_media": ("media in tool results (else in a user message behind them)", _yes),
    "result_types": ("media types in tool results", _some),
    "error_flag": ('failed results are marked (else their text begins with "Error: ")', _yes),
    "replays": ("opaque state of texts goes back, as that of reasoning and calls does", _yes),
    "cache_markers": ("what may be cached is marked (else the provider sees to it)", _yes),
    "undeclared_calls": ("history may hold calls of tools that are not declared", _yes),
    "user_turns": ("begins and ends with the user's turn", _yes),
    "text_parts": ("several texts of a message stay several (else one, a line apart)", _yes),
}
_FIELDS: Mapping[str, str] = {
    "key_header": "the key in",
    "limit": "`max_tokens` is sent as",
    "effort": "reasoning effort in",
    "reasoning": "reasoning returns in",
    "reasoning_turns": "on turns",
    "reasoning_demanded": "must return once tools were called (a blank one where there is none)",
    "details": "opaque `reasoning_details`",
    "schema_beside_tools": "a schema for the answer beside tools",
    "schema_streamed": "a schema for the answer of a stream",
    "deployments": "models by their path",
    "think_tags": "a thought that stands in `<think>` before the text is told from it",
}
