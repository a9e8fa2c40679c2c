"""The admin panel: what lies between the pages and the library."""
