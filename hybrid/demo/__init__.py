"""A realistic application on hybrid: a small shop with a database, for `python -m hybrid demo` and as an example."""

from hybrid.demo.catalogue import Catalogue, Product
from hybrid.demo.runner import Demo, Progress
from hybrid.demo.shop import Customer, Shop

__all__ = ["Catalogue", "Customer", "Demo", "Product", "Progress", "Shop"]
