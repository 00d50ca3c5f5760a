"""What is registered in the test's own process is forgotten after it."""

from tests.extension.conftest import outside

__all__ = ["outside"]
