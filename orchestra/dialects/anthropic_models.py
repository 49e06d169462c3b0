"""What each generation of Claude takes; the API answers the rest with a 400."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Takes:
    """What requests to a model may say.

    `efforts`: values of `output_config.effort`. `adaptive`: `thinking.type` adaptive, else a budget of tokens where
    `budget`. `thinks`: it thinks where nothing is said of it. `forced_tools`: `tool_choice` any. `sampling`:
    `temperature`, `top_p` and `top_k`, which only the API version before 2026-10-21 knows.
    Sources: the SDK's `ThinkingTypes` and `EffortCapability`; the provider's pages on thinking, effort and what is
    new in each model.
    """

    efforts: frozenset[str] = frozenset({"low", "medium", "high"})
    adaptive: bool = False
    budget: bool = False
    thinks: bool = False
    forced_tools: bool = True
    sampling: bool = True


def takes(model: str) -> Takes:
    """What the model takes; of a name that is no Claude's, what every server of this dialect may be asked."""
    found = _NAME.search(model)
    if found is None:
        return _MYTHOS_PREVIEW if "claude-mythos" in model else Takes()
    version = (int(found["major"]), int(found["minor"] or 0))
    generation = next((taken for since, taken in reversed(_GENERATIONS) if version >= since), Takes())
    # These two families have refused to be forced, and to stop thinking, from their beginning.
    return replace(generation, forced_tools=False) if found["family"] in ("fable", "mythos") else generation


_NAME = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d+)(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_FIVE = Takes(frozenset({"low", "medium", "high", "xhigh", "max"}), adaptive=True, thinks=True, sampling=False)
_MYTHOS_PREVIEW = replace(_FIVE, efforts=_FIVE.efforts - {"xhigh"}, forced_tools=False)
_GENERATIONS: tuple[tuple[tuple[int, int], Takes], ...] = (
    ((3, 7), Takes(frozenset(), budget=True)),
    ((4, 6), Takes(frozenset({"low", "medium", "high", "max"}), adaptive=True)),
    ((4, 7), replace(_FIVE, thinks=False)),
    ((5, 0), _FIVE),
    ((5, 1), replace(_FIVE, forced_tools=False)),
)
