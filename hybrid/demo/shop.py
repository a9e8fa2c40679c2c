"""What a shop does with Redis: sessions, carts, counters, leaderboards, a cache, a rate limiter and an order stream.

This is ordinary redis-py code: the client is a `HybridRedis`, and nothing else here knows of two stores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import redis

from hybrid.demo.catalogue import Catalogue

__all__ = ["Customer", "Shop"]

SESSION_S = 1800
CART_S = 7200
CACHE_S = 60
CLICKS_PER_MINUTE = 300
GROUP = "warehouse"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who clicks, and `random`, by which the click is chosen."""

    name: str
    random: Random


class Shop:
    """One shop under `prefix`, thread-safe. `client` is a HybridRedis with `decode_responses=True`."""

    def __init__(self, client: Any, catalogue: Catalogue, prefix: str = "shop:") -> None:
        self._client = client
        self._catalogue = catalogue
        self._prefix = prefix
        self._group_ready = False

    def key(self, *parts: object) -> str:
        return self._prefix + ":".join(str(part) for part in parts)

    def actions(self) -> tuple[tuple[int, Callable[[Customer], None]], ...]:
        """What customers do, and how often: (weight, action of a customer)."""
        return (
            (10, self.visit),
            (50, self.view_product),
            (15, self.fill_cart),
            (8, self.browse_tag),
            (5, self.look_at_leaderboard),
            (6, self.check_out),
            (6, self.ship_orders),
        )

    def visit(self, customer: Customer) -> None:
        """A session (hash with a TTL), a daily counter and the unique visitors of the day (HyperLogLog)."""
        session = self.key("session", customer.name)
        self._client.hset(session, mapping={"customer": customer.name, "seen_s": str(int(time.time())), "lang": "en"})
        self._client.expire(session, SESSION_S)
        self._client.incr(self.key("visits", today()))
        self._client.pfadd(self.key("visitors", today()), customer.name)

    def view_product(self, customer: Customer) -> None:
        """A page from the cache or the database, its score, and the list of what this customer saw last."""
        product = self.product(self._some_product(customer))
        if not self.allowed(customer):
            return
        recent = self.key("recent", customer.name)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.lpush(recent, product["id"])
        pipeline.ltrim(recent, 0, 9)
        pipeline.zincrby(self.key("most-viewed"), 1, product["id"])
        pipeline.execute()

    def product(self, number: int) -> dict[str, Any]:
        """A product through the cache. With both stores down, this goes straight to the database."""
        product: dict[str, Any] = self._client.get_or_load(
            self.key("product", number), lambda: asdict(self._catalogue.product(number)), ex=CACHE_S
        )
        return product

    def allowed(self, customer: Customer) -> bool:
        """A rate limiter: at most so many clicks of a customer in a minute."""
        window = self.key("clicks", customer.name, int(time.time() // 60))
        pipeline = self._client.pipeline(transaction=True)
        pipeline.incr(window)
        pipeline.expire(window, 120)
        clicks, _ = pipeline.execute()
        return int(clicks) <= CLICKS_PER_MINUTE

    def fill_cart(self, customer: Customer) -> None:
        """A cart (hash: product -> quantity), and the product's tags (sets)."""
        product = self.product(self._some_product(customer))
        cart = self.key("cart", customer.name)
        self._client.hincrby(cart, str(product["id"]), 1)
        self._client.expire(cart, CART_S)
        for tag in product["tags"]:
            self._client.sadd(self.key("tag", tag), product["id"])

    def browse_tag(self, customer: Customer) -> None:
        tags = customer.random.sample(("new", "sale", "wood", "kitchen", "gift"), 2)
        self._client.sinter([self.key("tag", tag) for tag in tags])
        self._client.lrange(self.key("recent", customer.name), 0, 9)

    def look_at_leaderboard(self, customer: Customer) -> None:
        self._client.zrevrange(self.key("most-viewed"), 0, 9, withscores=True)
        self._client.zrevrange(self.key("best-customers"), 0, 9, withscores=True)
        self._client.hgetall(self.key("session", customer.name))

    def check_out(self, customer: Customer) -> None:
        """The cart becomes an order, in one transaction that is given up if the cart changes meanwhile."""
        cart = self.key("cart", customer.name)
        with self._client.pipeline(transaction=True) as transaction:
            transaction.watch(cart)
            items = transaction.hgetall(cart)
            if not items:
                return
            total_cents = sum(int(count) * self.product(int(number))["price_cents"] for number, count in items.items())
            transaction.multi()
            transaction.xadd(self.key("orders"), {"customer": customer.name, "total_cents": total_cents}, maxlen=1000)
            transaction.zincrby(self.key("best-customers"), total_cents / 100, customer.name)
            transaction.incr(self.key("orders-placed"))
            transaction.delete(cart)
            with suppress(redis.WatchError):
                transaction.execute()

    def ship_orders(self, _customer: Customer) -> None:
        """The warehouse: reads the order stream as a consumer group, writes the database, acknowledges."""
        orders = self.key("orders")
        self._create_group(orders)
        reply = self._client.xreadgroup(GROUP, "packer-1", {orders: ">"}, count=20)
        for ident, fields in stream_entries(reply):
            self._catalogue.record_sale(fields["customer"], int(fields["total_cents"]))
            self._client.xack(orders, GROUP, ident)

    def _create_group(self, orders: str) -> None:
        if self._group_ready:
            return
        try:
            self._client.xgroup_create(orders, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._group_ready = True

    def _some_product(self, customer: Customer) -> int:
        """Few products are popular, most are not."""
        return min(int(customer.random.paretovariate(0.7)), self._catalogue.size)


def stream_entries(reply: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries of an XREADGROUP reply of one stream: RESP3 sends a map, RESP2 a list of pairs."""
    streams = list(reply.items()) if isinstance(reply, dict) else list(reply or ())
    found: list[tuple[str, dict[str, str]]] = []
    for _, batches in streams:
        entries = batches[0] if batches and isinstance(batches[0], list) else batches
        found.extend((ident, fields) for ident, fields in entries if fields)
    return found


def today() -> str:
    return time.strftime("%Y-%m-%d")
