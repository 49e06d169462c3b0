"""dialects: canonical request → a provider's bytes → canonical reply; pure, one codec a file."""

from orchestra.dialects.catalog import CODECS, codec
from orchestra.dialects.codec import Codec, Delta, Encoded, StreamReader
from orchestra.dialects.history import view
from orchestra.dialects.retry_after import retry_after
from orchestra.dialects.tool_schema import CompiledTool, compile_tool

__all__ = [
    "CODECS",
    "Codec",
    "CompiledTool",
    "Delta",
    "Encoded",
    "StreamReader",
    "codec",
    "compile_tool",
    "retry_after",
    "view",
]
