"""What tests of bad input share."""

import pytest


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data may take 16 MiB."""
    monkeypatch.setenv("PHOSPHENE_DATA_MEMORY", "16MiB")
