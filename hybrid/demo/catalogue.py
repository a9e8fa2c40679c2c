"""The shop's own database: the source that the cache stands in front of, and that remains when both stores are down."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from random import Random

__all__ = ["Catalogue", "Product"]

KINDS = ("lamp", "chair", "mug", "shelf", "clock", "rug", "vase", "desk")
ADJECTIVES = ("quiet", "oak", "folding", "blue", "tall", "woven", "round", "light")
TAGS = ("new", "sale", "wood", "metal", "kitchen", "office", "garden", "gift")

SCHEMA = """
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price_cents INTEGER NOT NULL, tags TEXT NOT NULL);
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total_cents INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    name: str
    price_cents: int
    tags: tuple[str, ...]


class Catalogue:
    """`size` invented products in an SQLite database in memory; `queries` counts how often it was asked for one.

    Thread-safe: one connection, one caller at a time.
    """

    def __init__(self, random: Random, size: int = 200) -> None:
        self.size = size
        self.queries = 0
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.executescript(SCHEMA)
        rows = [
            (
                number,
                f"{random.choice(ADJECTIVES)} {random.choice(KINDS)} no. {number}",
                random.randrange(500, 50_000, 50),
                ",".join(sorted(random.sample(TAGS, 3))),
            )
            for number in range(1, size + 1)
        ]
        self._database.executemany("INSERT INTO product VALUES (?, ?, ?, ?)", rows)

    def product(self, number: int) -> Product:
        """One product, from the database. Raises KeyError when there is none."""
        with self._lock:
            self.queries += 1
            row = self._database.execute("SELECT * FROM product WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise KeyError(number)
        return Product(row[0], row[1], row[2], tuple(row[3].split(",")))

    def record_sale(self, customer: str, total_cents: int) -> int:
        """Note a sale, and return its number."""
        with self._lock, self._database:
            cursor = self._database.execute(
                "INSERT INTO sale (customer, total_cents) VALUES (?, ?)", (customer, total_cents)
            )
        return int(cursor.lastrowid or 0)

    def close(self) -> None:
        self._database.close()
