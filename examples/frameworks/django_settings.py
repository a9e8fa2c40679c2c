"""Django settings: cache and sessions in two stores, with Django's own backend or with django-redis.

    pip install hybrid-redis django            # and django-redis for the second one
    REDIS_URL=redis://localhost:6379 UPSTASH_REDIS_URL=rediss://... \\
        DJANGO_SETTINGS_MODULE=examples.frameworks.django_settings python -m django shell
"""

from __future__ import annotations

import os

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "change me")
CACHES = {
    "default": {"BACKEND": "hybrid.frameworks.django.HybridCache"},
    "django-redis": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL", ""),
        "OPTIONS": {"CONNECTION_FACTORY": "hybrid.frameworks.django.ConnectionFactory"},
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
