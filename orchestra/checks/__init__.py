"""checks: reply → Verdict. Says of every reply whether it may be used, and if not, exactly what is wrong with it."""

from orchestra.checks.calls import mend_calls
from orchestra.checks.expect import Expect
from orchestra.checks.judge import judge
from orchestra.checks.mend import mend
from orchestra.checks.output import parse_output
from orchestra.checks.progress import no_progress
from orchestra.checks.schema import violations
from orchestra.checks.validator import arguments_fault, schema_fault

__all__ = [
    "Expect",
    "arguments_fault",
    "judge",
    "mend",
    "mend_calls",
    "no_progress",
    "parse_output",
    "schema_fault",
    "violations",
]
