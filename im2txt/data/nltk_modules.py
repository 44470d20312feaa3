"""Imports modules of NLTK without the rest of it.

`import nltk.tokenize.punkt` first runs `nltk/__init__.py`, which imports all of
NLTK and NumPy. That takes 0.3 s, four times as long as what the tokenizers
themselves need, and as long as checking 200 photographs.
"""

from collections.abc import Iterator
import contextlib
import importlib.util
import pathlib
import sys
import types


@contextlib.contextmanager
def imported_alone(*packages: str) -> Iterator[None]:
  """Lets the block import modules, not what their packages import.

  Afterwards the packages are as if never imported, so that another part of the
  program may import them whole. Does nothing if that was done before.

  Args:
    *packages: Names of NLTK's packages whose `__init__.py` is not to be run,
      each after the one that it is in; the first is "nltk".

  Yields:
    None.
  """
  top = packages[0]
  if top in sys.modules:
    yield
    return
  spec = importlib.util.find_spec(top)
  if spec is None or not spec.submodule_search_locations:
    raise ModuleNotFoundError(f"No package named {top!r}", name=top)
  root = pathlib.Path(spec.submodule_search_locations[0])
  for package in packages:
    module = types.ModuleType(package)
    module.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
    sys.modules[package] = module
  try:
    yield
  finally:
    for name in [name for name in sys.modules if name.split(".")[0] == top]:
      del sys.modules[name]
