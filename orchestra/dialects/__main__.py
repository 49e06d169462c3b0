"""`python -m orchestra.dialects` prints the generated part of docs/dialects.md."""

import sys

from orchestra.dialects.support import support

sys.stdout.write(support() + "\n")
