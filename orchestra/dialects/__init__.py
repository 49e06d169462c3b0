"""dialects: canonical request → a provider's bytes → canonical reply; pure, one codec a file."""

from orchestra.dialects.catalog import CODECS, codec
from orchestra.dialects.codec import Codec
from orchestra.dialects.encoded import Delta, Encoded, StreamReader
from orchestra.dialects.history import view
from orchestra.dialects.parameters import output_bound
from orchestra.dialects.rate_limits import RateLimit
from orchestra.dialects.retry_after import retry_after
from orchestra.dialects.tool_schema import CompiledTool, as_json_schema, compile_tool, inexpressible

__all__ = [
    "CODECS",
    "Codec",
    "CompiledTool",
    "Delta",
    "Encoded",
    "RateLimit",
    "StreamReader",
    "as_json_schema",
    "codec",
    "compile_tool",
    "inexpressible",
    "output_bound",
    "retry_after",
    "view",
]
