"""For tests of the examples: what carries out a page of documentation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def walkthrough() -> ModuleType:
    """The file beside this one: tests are not importable."""
    path = Path(__file__).with_name("walkthrough.py")
    spec = importlib.util.spec_from_file_location("dissever_walkthrough", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up.
    spec.loader.exec_module(module)
    return module
