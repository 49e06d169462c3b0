"""`python -m orchestra.recovery` prints the generated part of docs/recovery.md."""

import sys

from orchestra.recovery.drawing import diagram

sys.stdout.write(diagram() + "\n")
