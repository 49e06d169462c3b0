"""`python -m orchestra.ledger.sinks` prints the generated part of docs/observability.md."""

import sys

from orchestra.ledger.sinks.event_table import event_table

sys.stdout.write(event_table() + "\n")
