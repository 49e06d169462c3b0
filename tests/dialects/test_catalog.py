import pytest

from orchestra.dialects import CODECS, codec
from orchestra.dialects.tool_schema import DIALECTS
from orchestra.errors import ConfigError


def test_a_codec_is_found_under_its_own_name():
    assert all(codec(name).dialect == name for name in CODECS)


def test_an_unknown_dialect_names_the_known_ones_and_the_nearest():
    with pytest.raises(
        ConfigError, match=r"unknown dialect 'openai_chat'; known: openai-chat; did you mean 'openai-chat'\?"
    ):
        codec("openai_chat")
    with pytest.raises(ConfigError, match=r"unknown dialect 'zzz'; known: openai-chat$"):
        codec("zzz")


def test_tools_compile_for_every_dialect_that_has_a_codec():
    assert set(DIALECTS) == set(CODECS)
