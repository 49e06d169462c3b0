"""Which settings make sense, whatever the model: others are refused before any provider is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

from orchestra.errors import ConfigError

HOTTEST = 2.0
"""The highest temperature that any provider takes."""


def check_settings(
    *,
    max_tokens: object = None,
    temperature: object = None,
    seed: object = None,
    stop: Iterable[object] = (),
    extra: Mapping[str, object] | None = None,
) -> None:
    """Raises ConfigError naming the setting, what it may be, and what it is; None is the provider's default.

    What only some providers refuse is lowered or left out for them, with a note.
    """
    if max_tokens is not None and not (_is_whole(max_tokens) and max_tokens >= 1):
        raise _wrong("max_tokens", "a whole number, 1 or more", max_tokens)
    if temperature is not None and not _is_within(temperature, HOTTEST):
        raise _wrong("temperature", f"a number from 0 to {HOTTEST:g}", temperature)
    if seed is not None and not _is_whole(seed):
        raise _wrong("seed", "a whole number", seed)
    for sequence in stop:
        if not isinstance(sequence, str) or not sequence:
            raise _wrong("stop", "texts that are not empty", sequence)
    for name, value in (extra or {}).items():
        if name.rpartition(".")[2] in _SHARES and not _is_within(value, 1.0):
            raise _wrong(name, "a number from 0 to 1", value)


_SHARES = frozenset({"top_p", "topP"})  # of the probability; a parameter of nearly every provider


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_within(value: object, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _wrong(name: str, wanted: str, got: object) -> ConfigError:
    return ConfigError(f"{name}: expected {wanted}, got {got!r}")
