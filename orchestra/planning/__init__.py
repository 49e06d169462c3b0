"""planning: task and tools → Plan, a DAG that is checked before anything runs, and what each step gets to see."""

from orchestra.planning.answer import answer_step, single_step, with_answer
from orchestra.planning.drawing import mermaid
from orchestra.planning.faults import faults
from orchestra.planning.graph import order, sinks
from orchestra.planning.paths import remaining, weight
from orchestra.planning.prompts import copied, plan_messages, replan_messages, step_messages
from orchestra.planning.replan import Known, joined, merged
from orchestra.planning.schema import ordered_plan_schema, plan_schema, read_plan

__all__ = [
    "Known",
    "answer_step",
    "copied",
    "faults",
    "joined",
    "merged",
    "mermaid",
    "order",
    "ordered_plan_schema",
    "plan_messages",
    "plan_schema",
    "read_plan",
    "remaining",
    "replan_messages",
    "single_step",
    "sinks",
    "step_messages",
    "weight",
    "with_answer",
]
