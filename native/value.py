"""What compiled values are made from. Only a compiled wheel holds it, as `orchestra/_native_value.py`."""

from typing import Any

from orchestra._native import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Value:  # noqa: PLW1641  # each class is given its own hash
    """Equal as its class finds at import: the compiler compares instances of a class without `__eq__` by identity."""

    def __eq__(self, other: object) -> bool:
        kind: Any = type(self)
        equal: Any = kind.__eq__(self, other)
        return bool(other == self) if equal is NotImplemented else bool(equal)
