"""types: the words of the flow, as frozen values with one to_json/from_json pair."""

from orchestra.types.budget import EACH, Budget, Labels, Period
from orchestra.types.call import CallFault, Cost, Finish, ModelReply, Request, Sent, ToolChoice, Usage
from orchestra.types.context import Earlier, Mode, OutcomeState, Priority, StepContext, Upstream
from orchestra.types.decision import Candidate, Decision, Reason, Rejection, Settings
from orchestra.types.json import Json, JsonMismatch, from_json, to_json
from orchestra.types.message import Document, Image, Message, Origin, Part, Reasoning, Role, Text, ToolCall, ToolResult
from orchestra.types.model import Capabilities, Deployment, ModelCard, Price, Timeouts
from orchestra.types.plan import Difficulty, Plan, Step
from orchestra.types.reply import Attempt, Reply
from orchestra.types.rules import Match, StepRule
from orchestra.types.settings import check_settings
from orchestra.types.stream import (
    AttemptChanged,
    End,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallReady,
    UsageReported,
)
from orchestra.types.tool import ToolSpec
from orchestra.types.verdict import Action, Fault, Trigger, Verdict

__all__ = [
    "EACH",
    "Action",
    "Attempt",
    "AttemptChanged",
    "Budget",
    "CallFault",
    "Candidate",
    "Capabilities",
    "Cost",
    "Decision",
    "Deployment",
    "Difficulty",
    "Document",
    "Earlier",
    "End",
    "Fault",
    "Finish",
    "Image",
    "Json",
    "JsonMismatch",
    "Labels",
    "Match",
    "Message",
    "Mode",
    "ModelCard",
    "ModelReply",
    "Origin",
    "OutcomeState",
    "Part",
    "Period",
    "Plan",
    "Price",
    "Priority",
    "Reason",
    "Reasoning",
    "ReasoningDelta",
    "Rejection",
    "Reply",
    "Request",
    "Role",
    "Sent",
    "Settings",
    "Step",
    "StepContext",
    "StepRule",
    "StreamEvent",
    "Text",
    "TextDelta",
    "Timeouts",
    "ToolCall",
    "ToolCallReady",
    "ToolChoice",
    "ToolResult",
    "ToolSpec",
    "Trigger",
    "Upstream",
    "Usage",
    "UsageReported",
    "Verdict",
    "check_settings",
    "from_json",
    "to_json",
]
