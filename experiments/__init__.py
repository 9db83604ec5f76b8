"""Studies: one file a figure, found by listing this folder; each holds one `study`."""

from importlib import import_module
from pkgutil import iter_modules

from jaxrobust.lab import Study


def found() -> list[Study]:
    """Import every file of this folder that is a study, in alphabetical order."""
    names = sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))
    return [import_module(f"experiments.{name}").study for name in names]
