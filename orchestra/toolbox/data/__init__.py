"""data: a CSV or SQLite file as tables that tools may read, and nothing may change."""

from orchestra.toolbox.data.described import MORE, described, in_words, terms
from orchestra.toolbox.data.names import quoted
from orchestra.toolbox.data.source import Data, open_data
from orchestra.toolbox.data.table import Column, Selection, Table

__all__ = ["MORE", "Column", "Data", "Selection", "Table", "described", "in_words", "open_data", "quoted", "terms"]
