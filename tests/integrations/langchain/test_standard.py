"""LangChain's own standard suite, over the real codec of each dialect."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from langchain_core.load.load import ALL_SERIALIZABLE_MAPPINGS
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from orchestra.dialects.features import FEATURES
from orchestra.integrations.langchain import FLEET, ChatOrchestra
from tests.integrations.langchain.served import app

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
COUNTED = ["reasoning_output", "cache_read_input", "cache_creation_input"]
FILE = """
[models.small]
model = "small"
dialect = "openai-chat"
base_url = "http://127.0.0.1:1/v1"
tier = "efficient"
"""

PLACE = tuple(ChatOrchestra.lc_id())
ALL_SERIALIZABLE_MAPPINGS[PLACE] = PLACE  # the suite loads what LangChain lists, and that is its own partners alone


class Dialect:
    """What the suite is told of a dialect: all is on but audio and video, which no canonical part can hold, and media
    that the dialect itself cannot carry.
    """

    dialect: ClassVar[str]

    @pytest.fixture(autouse=True)
    async def served(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        monkeypatch.setattr(httpx, "get", lambda url, timeout: httpx.Response(200, content=PIXEL))
        async with app(self.dialect, tmp_path, "small", "other") as self.app:
            yield

    @property
    def chat_model_class(self) -> type[ChatOrchestra]:
        return ChatOrchestra

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"app": self.app, "step": "standard"}

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_tool_message = True
    supports_anthropic_inputs = True
    model_override_value = "other"
    supported_usage_metadata_details: ClassVar[dict[str, list[str]]] = {"invoke": COUNTED, "stream": COUNTED}

    @property
    def supports_image_urls(self) -> bool:
        return "url" in FEATURES[self.dialect].images

    @property
    def supports_pdf_inputs(self) -> bool:
        return bool(FEATURES[self.dialect].documents)

    supports_pdf_tool_message = supports_pdf_inputs

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        return reduce(add, model.stream("Hello")) if stream else model.invoke("Hello")

    invoke_with_cache_read_input = invoke_with_cache_creation_input = invoke_with_reasoning_output


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
class OnTheWire(Dialect, ChatModelIntegrationTests):
    """The integration suite."""


class TestOpenAIChat(OnTheWire):
    dialect = "openai-chat"


class TestAnthropic(OnTheWire):
    dialect = "anthropic"


class TestGemini(OnTheWire):
    dialect = "gemini"


class TestOpenAIResponses(OnTheWire):
    dialect = "openai-responses"


class TestBedrock(OnTheWire):
    dialect = "bedrock-converse"


class TestMistral(OnTheWire):
    dialect = "mistral"


class TestCohere(OnTheWire):
    dialect = "cohere"


class TestUnit(Dialect, ChatModelUnitTests):
    """The unit suite, which sends nothing."""

    dialect = "openai-chat"

    @pytest.fixture(autouse=True)
    def fleet(self, tmp_path: Path) -> None:
        self.path = tmp_path / "fleet.toml"
        self.path.write_text(FILE, encoding="utf-8")

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {FLEET: str(self.path)}, {"step": "from env"}, {"step": "from env"}
