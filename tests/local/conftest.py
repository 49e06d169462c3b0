from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.types import ModelCard


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """A model whose weights are a file of the user's."""
    path = tmp_path / "modèle.gguf"
    path.write_bytes(b"GGUF and more")
    return ModelCard("small", "tiny-instruct", "local", "openai-chat", "efficient", weights=str(path))
