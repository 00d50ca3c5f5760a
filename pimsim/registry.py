"""What exists by name: that which is shipped, and that which other packages and scripts register beside it.

A name that is shipped is never looked for anywhere else, so no run of what is shipped imports a
plugin.  Only where a name is not shipped, or where all names are listed, the entry points of the
group GROUP are loaded, once.  One that cannot be loaded is no error by itself: what is said of an
unknown name ends in `not_loaded()`, which names it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from pimsim.errors import InputError

T = TypeVar("T")

GROUP = "pimsim"


@dataclass(frozen=True)
class Origin:
    """Where something was registered.

    home    a package with its version, or a file
    source  how well it is known: "LABEL: reason", "" where it says that itself
    digest  tells it from another of the same name, "" where nobody needs to
    """

    home: str
    source: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The home without folders, which differ between machines."""
        return os.path.basename(self.home) if os.path.isabs(self.home) else self.home


class Deferred(Mapping[str, T]):
    """What is shipped, by name, each imported when it is asked for.

    homes  where it is, by name: "module:attribute"
    """

    def __init__(self, homes: dict[str, str]) -> None:
        self._homes = homes
        self._found: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._found:
            module, _, attribute = self._homes[name].partition(":")
            self._found[name] = getattr(import_module(module), attribute)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


class Registry(Mapping[str, T]):
    """Names of one kind with what they mean: the shipped ones, then those that were registered, in order.

    what  the kind, as messages call it
    """

    def __init__(self, what: str, shipped: Mapping[str, T]) -> None:
        self.what = what
        self.shipped = shipped
        self._added: dict[str, tuple[T, Origin]] = {}
        _REGISTRIES.append(self)

    def __getitem__(self, name: str) -> T:
        if name in self.shipped:
            return self.shipped[name]
        if name not in self._added:
            _PLUGINS.load()
        return self._added[name][0]

    def __contains__(self, name: object) -> bool:
        return name in self.shipped or super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        yield from self.shipped
        _PLUGINS.load()
        yield from list(self._added)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    __eq__, __hash__ = object.__eq__, object.__hash__  # not by what is in it, which may change

    def origin(self, name: str) -> Origin | None:
        """Where a name was registered; None if it is shipped, or unknown."""
        return self._added[name][1] if name in self._added else None

    def taken(self, name: str, thing: T, home: str, replace: bool = False) -> str:
        """Who has a name that is to mean `thing`; "" if it may.

        A script may register again what it has registered; replace: also what others have.
        """
        if name in self.shipped:
            return "" if self.shipped[name] is thing else "pimsim"
        if name not in self._added:
            return ""
        found, origin = self._added[name]
        again = found == thing or replace or (home == origin.home and not _PLUGINS.current)
        return "" if again else origin.home

    def add(self, name: str, thing: T, origin: Origin) -> None:
        """Register a name that `taken` has found free."""
        if name not in self.shipped:
            self._added[name] = (thing, origin)
            _forget()

    @property
    def has_added(self) -> bool:
        """Whether there is more than what is shipped."""
        return bool(self._added)

    def discard(self, home: str) -> None:
        """Forget what somebody registered."""
        self._added = {name: added for name, added in self._added.items() if added[1].home != home}
        _forget()


_REGISTRIES: list[Registry[Any]] = []
_DERIVED: list[Callable[[], object]] = []


def derived(cached: Callable[..., T]) -> Callable[..., T]:
    """A cached function of what registries hold: it forgets its results when something is registered."""
    _DERIVED.append(cached.cache_clear)  # type: ignore[attr-defined]
    return cached


def _forget() -> None:
    for clear in _DERIVED:
        clear()


# -- plugins --------------------------------------------------------------------------


class _Plugins:
    """The entry points of GROUP, loaded at most once.

    current  the package whose entry point is being loaded, "" if none is
    failed   why, for each package that could not be loaded
    """

    def __init__(self) -> None:
        self.loaded = False
        self.current = ""
        self.failed: dict[str, str] = {}

    def load(self) -> None:
        """Load every entry point; what one of them registered before it failed is forgotten."""
        if self.loaded:
            return
        self.loaded = True  # a plugin may ask for names as well
        from importlib.metadata import entry_points  # not for those who name only what is shipped

        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            package = point.dist
            home = f"{package.name} {package.version}" if package is not None else point.value
            with self._registering(home):
                try:
                    _run(point.load(), point.value)
                except Exception as error:  # another's program: whatever it raises is a fault of it
                    self.failed[home] = _why(error)
                    for registry in _REGISTRIES:
                        registry.discard(home)

    @contextmanager
    def _registering(self, home: str) -> Iterator[None]:
        before, self.current = self.current, home
        try:
            yield
        finally:
            self.current = before


def _run(found: object, value: str) -> None:
    """A module has registered what it has when it is imported; a function does when it is called."""
    if callable(found):
        found()
    elif not isinstance(found, ModuleType):
        raise InputError(f"{value} is neither a function nor a module")


def _why(error: Exception) -> str:
    text = "; ".join(str(error).splitlines())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


_PLUGINS = _Plugins()


def load_plugins() -> Mapping[str, str]:
    """Load the plugins, if they are not; why, for each package that could not be loaded."""
    _PLUGINS.load()
    return _PLUGINS.failed


def has_plugins() -> bool:
    """Whether code of other packages is loaded."""
    return any(registry.has_added for registry in _REGISTRIES)


def not_loaded() -> str:
    """The end of what is said of an unknown name: "; NAME VERSION, which may have it, cannot be loaded: why"."""
    return "".join(f"; {home}, which may have it, cannot be loaded: {why}" for home, why in _PLUGINS.failed.items())


def loading() -> str:
    """The package whose entry point is being loaded, "" if none is."""
    return _PLUGINS.current


def caller(depth: int) -> str:
    """Who registers: the package whose entry point is being loaded, else the file of the calling code."""
    return _PLUGINS.current or sys._getframe(depth + 1).f_code.co_filename
