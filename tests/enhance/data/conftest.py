"""Fixtures of the tests that mix recordings."""

import pytest
from recordings import Caches, build, build_tones


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Caches:
    return build(tmp_path_factory.mktemp("caches"))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Caches:
    return build_tones(tmp_path_factory.mktemp("tones"))
