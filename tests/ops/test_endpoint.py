from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from hybrid.errors import ConfigurationError
from hybrid.observe.endpoint import HealthEndpoint, listen_address


def fetched(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_document_and_its_code_are_served() -> None:
    answers = [(200, {"status": "healthy"}), (503, {"status": "down"})]
    endpoint = HealthEndpoint(("127.0.0.1", 0), lambda: answers.pop(0))
    endpoint.start()
    try:
        assert fetched(endpoint.url) == (200, {"status": "healthy"})
        assert fetched(endpoint.url + "?verbose=1") == (503, {"status": "down"})
        assert fetched(endpoint.url.replace("/api/health", "/elsewhere"))[0] == 404
    finally:
        endpoint.close()


def test_a_taken_port_is_one_clear_error() -> None:
    first = HealthEndpoint(("127.0.0.1", 0), lambda: (200, {}))
    port = int(first.url.split(":")[2].split("/")[0])
    try:
        with pytest.raises(ConfigurationError, match="choose another --listen"):
            HealthEndpoint(("127.0.0.1", port), lambda: (200, {}))
    finally:
        first.close()


def test_addresses() -> None:
    assert listen_address("8600") == ("127.0.0.1", 8600)
    assert listen_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert listen_address("[::1]:80") == ("::1", 80)
    for wrong in ("", "host", "host:", "host:99999", "host:-1"):
        with pytest.raises(ConfigurationError, match="--listen"):
            listen_address(wrong)
