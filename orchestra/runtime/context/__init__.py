"""context: a step's history kept within its model's window; what is left out can be read again."""

from orchestra.runtime.context.counting import new_counter
from orchestra.runtime.context.fit import Fitted, fit
from orchestra.runtime.context.read import read_result
from orchestra.runtime.context.results import Results
from orchestra.runtime.context.summary import summary_messages

__all__ = ["Fitted", "Results", "fit", "new_counter", "read_result", "summary_messages"]
