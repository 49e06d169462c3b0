"""planning: task and tools → Plan, a DAG that is checked before anything runs, and what each step gets to see."""

from orchestra.planning.answer import answer_step, single_step, with_answer
from orchestra.planning.faults import faults
from orchestra.planning.graph import order, ready, sinks
from orchestra.planning.prompts import plan_messages, step_messages
from orchestra.planning.schema import plan_schema, read_plan

__all__ = [
    "answer_step",
    "faults",
    "order",
    "plan_messages",
    "plan_schema",
    "read_plan",
    "ready",
    "single_step",
    "sinks",
    "step_messages",
    "with_answer",
]
