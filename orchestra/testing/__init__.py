"""testing: models that do as they are told: ScriptedModel in memory, FakeProvider over real HTTP."""

from orchestra.testing.behaviours import (
    Behaviour,
    CallTool,
    CutStream,
    Error,
    MalformedChunk,
    NoEnd,
    RawReply,
    Reset,
    Say,
    ScriptError,
    Silence,
    Slow,
    Stall,
)
from orchestra.testing.fake_provider import FakeProvider, Received
from orchestra.testing.scripted import ScriptedModel, ScriptedTransport, scripted_app, scripted_transport

__all__ = [
    "Behaviour",
    "CallTool",
    "CutStream",
    "Error",
    "FakeProvider",
    "MalformedChunk",
    "NoEnd",
    "RawReply",
    "Received",
    "Reset",
    "Say",
    "ScriptError",
    "ScriptedModel",
    "ScriptedTransport",
    "Silence",
    "Slow",
    "Stall",
    "scripted_app",
    "scripted_transport",
]
