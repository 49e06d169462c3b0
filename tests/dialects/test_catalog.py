import pytest

from orchestra.dialects import CODECS, codec
from orchestra.dialects.features import FEATURES
from orchestra.dialects.tool_schema import DIALECTS
from orchestra.errors import ConfigError
from orchestra.fleet import known as fleet
from orchestra.testing.wires import WIRES


def test_a_codec_is_found_under_its_own_name():
    assert all(codec(name).dialect == name for name in CODECS)


def test_an_unknown_dialect_names_the_known_ones_and_the_nearest():
    names = ", ".join(CODECS)
    with pytest.raises(
        ConfigError, match=rf"unknown dialect 'openai_chat'; known: {names}; did you mean 'openai-chat'\?"
    ):
        codec("openai_chat")
    with pytest.raises(ConfigError, match=rf"unknown dialect 'zzz'; known: {names}$"):
        codec("zzz")


def test_every_dialect_that_a_fleet_may_name_has_a_codec_features_and_a_fake_provider():
    assert set(CODECS) == set(FEATURES) == set(fleet.DIALECTS) == set(WIRES)


def test_tools_compile_for_every_dialect_that_has_a_codec():
    assert set(DIALECTS) == set(CODECS)
