"""A small shop as a SQLite file: the same bytes of content whenever and wherever it is made.

    python benchmarks/agents/shop.py shop.sqlite

Four tables over three years; a few cities are missing, and orders have four states, so that questions can be hard.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")
SEED = 20_261_122
CUSTOMERS, ORDERS = 60, 420
FIRST_DAY, DAYS = date(2023, 1, 1), 3 * 365

SCHEMA = """
CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name TEXT, segment TEXT, city TEXT, country TEXT, joined TEXT);
CREATE TABLE products (product_id INTEGER PRIMARY KEY, name TEXT, category TEXT, price REAL, stock INTEGER);
CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, ordered_on TEXT,
                     status TEXT, channel TEXT);
CREATE TABLE items (order_id INTEGER REFERENCES orders, product_id INTEGER REFERENCES products, quantity INTEGER,
                    unit_price REAL, PRIMARY KEY (order_id, product_id));
"""
CITIES = {
    "Austria": ("Vienna", "Graz", "Linz"),
    "Germany": ("Berlin", "Hamburg", "München"),
    "Poland": ("Warsaw", "Kraków", "Łódź"),
    "Switzerland": ("Zürich", "Basel", "Bern"),
}
FIRST = ("Anna", "Boris", "Clara", "David", "Elif", "Felix", "Greta", "Henrik", "Irena", "Jonas", "Karla", "Lukas")
LAST = ("Adler", "Brandt", "Czerny", "Dąbek", "Egger", "Frei", "Görlich", "Huber", "Imhof", "Jansen")
PRODUCTS = (
    ("Espresso Beans", "coffee", 14.9),
    ("Filter Coffee", "coffee", 9.5),
    ("Cold Brew", "coffee", 5.25),
    ("Decaf Beans", "coffee", 12.4),
    ("Green Tea", "tea", 7.8),
    ("Black Tea", "tea", 6.4),
    ("Rooibos", "tea", 8.1),
    ("Peppermint Tea", "tea", 4.95),
    ("Chai Mix", "tea", 9.9),
    ("Hand Grinder", "equipment", 49.0),
    ("French Press", "equipment", 29.5),
    ("Tea Kettle", "equipment", 39.0),
    ("Milk Frother", "equipment", 19.9),
    ("Digital Scale", "equipment", 24.5),
    ("Glass Mug", "tableware", 8.5),
    ("Stoneware Cup", "tableware", 11.0),
    ("Saucer", "tableware", 5.5),
    ("Sugar Bowl", "tableware", 13.2),
)


def write_shop(path: Path) -> Path:
    """Write the shop to the new file `path`; returns it."""
    draw = Random(SEED)  # only its random() is used, whose sequence Python promises to keep
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", _customers(draw))
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?)", _products(draw))
        orders = list(_orders(draw))
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", orders)
        connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", _items(draw, orders))
    return path


def _customers(draw: Random) -> Iterator[tuple[object, ...]]:
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    for number in range(1, CUSTOMERS + 1):
        name = names.pop(_below(draw, len(names)))
        country = _pick(draw, tuple(CITIES), (3, 5, 2, 2))
        city = None if draw.random() < 0.08 else _pick(draw, CITIES[country], (5, 3, 2))
        segment = _pick(draw, ("private", "business"), (7, 3))
        yield number, name, segment, city, country, _day(draw, date(2021, 1, 1), 2 * 365)


def _products(draw: Random) -> Iterator[tuple[object, ...]]:
    for number, (name, category, price) in enumerate(PRODUCTS, 1):
        yield number, name, category, price, 0 if draw.random() < 0.15 else 5 + _below(draw, 120)


def _orders(draw: Random) -> Iterator[tuple[int, int, str, str, str]]:
    days = sorted(_day(draw, FIRST_DAY, DAYS) for _ in range(ORDERS))
    for number, day in enumerate(days, 1):
        customer = 1 + int(CUSTOMERS * 0.95 * draw.random() ** 1.6)  # some buy often, the last few never
        status = _pick(draw, ("delivered", "returned", "cancelled", "open"), (80, 8, 7, 5))
        yield number, customer, day, status, _pick(draw, ("web", "store", "phone"), (6, 3, 1))


def _items(draw: Random, orders: Sequence[tuple[int, int, str, str, str]]) -> Iterator[tuple[object, ...]]:
    for order, _, day, *_ in orders:
        left = list(enumerate(PRODUCTS, 1))
        for _ in range(1 + _below(draw, 4)):
            product, (_, _, price) = left.pop(_below(draw, len(left)))
            paid = price if day >= "2024" else round(price * 0.95, 2)  # prices rose in 2024
            yield order, product, _pick(draw, (1, 2, 3, 6), (6, 3, 2, 1)), paid


def _below(draw: Random, bound: int) -> int:
    return int(draw.random() * bound)


def _pick(draw: Random, values: Sequence[T], weights: Sequence[int]) -> T:
    left = draw.random() * sum(weights)
    for value, weight in zip(values[:-1], weights[:-1], strict=True):
        left -= weight
        if left < 0:
            return value
    return values[-1]


def _day(draw: Random, first: date, days: int) -> str:
    return (first + timedelta(days=_below(draw, days))).isoformat()


if __name__ == "__main__":
    write_shop(Path(sys.argv[1]))
