"""Which file a card means: embedded weights by their hash, or the user's own GGUF by its path."""

from __future__ import annotations

import re
from pathlib import Path

from orchestra.errors import ConfigError, WeightsError
from orchestra.local.store import WeightStore
from orchestra.local.weights import EMBEDDED, find_weights
from orchestra.types import ModelCard

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAGIC = b"GGUF"


def weights_file(card: ModelCard, store: WeightStore) -> Path:
    """The card's GGUF file on this machine. Raises ConfigError if it names none, WeightsError if it is not there."""
    if not card.weights:
        raise ConfigError(
            f"model {card.name!r}: provider 'local' needs weights; name an embedded model "
            f'({", ".join(EMBEDDED)}) or set `weights = "/path/to/model.gguf"`'
        )
    if _SHA256.fullmatch(card.weights):
        return _stored(card.name, card.weights, store)
    return _own(card.name, Path(card.weights).expanduser())


def _stored(name: str, sha256: str, store: WeightStore) -> Path:
    path = store.path(sha256)
    if path is None:
        known = find_weights(sha256).name
        raise WeightsError(
            f"model {name!r}: its weights are not in {store.root}; get them with `orchestra models pull {known}`"
        )
    return path


def _own(name: str, path: Path) -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        why = getattr(error, "strerror", None) or error
        raise WeightsError(f"model {name!r}: cannot read its weights {str(path)!r}: {why}") from error
    if magic != _MAGIC:
        raise WeightsError(
            f"model {name!r}: {str(path)!r} is not a GGUF file (it begins with {magic!r}, not {_MAGIC!r})"
        )
    return path.resolve()
