"""Home folders in paths, written as a shell's user writes them.

A shell replaces `~` only at the start of a word, so a program gets the `~` of
`--train_dir=~/model` or of `"~/model"` as it is, and would make a folder of
that name wherever it was started.
"""

import os
import re

# At the start of a path, of each path of a list that is separated by commas,
# and of the file that an @ names as a list of paths.
_HOME = re.compile(r"(?P<before>(?:^|,)\s*@?)(?P<home>~[^/,]*)")


def expand(paths: str) -> str:
  """Replaces `~` and `~user` at the start of each path by the home folder.

  Args:
    paths: A path, a pattern of paths, or several of these separated by commas.

  Returns:
    The same with the home folders' paths.

  Raises:
    ValueError: If the user is unknown, or this user's home folder is.
  """
  return _HOME.sub(lambda found: found["before"] + _path(found["home"]), paths)


def _path(home: str) -> str:
  path = os.path.expanduser(home)
  if path.startswith("~"):
    raise ValueError(
        f"{home} at the start of a path means a home folder, and none is known"
        f" for it. For a file or folder of that name, write ./{home}."
    )
  return path
