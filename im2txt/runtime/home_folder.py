"""Expands `~` in the values of flags, as a shell does in arguments.

A shell replaces `~` only at the start of a word. It passes
`--train_dir=~/model` and `"~/model"` on unchanged, and without expansion the
program would create a folder named `~` in the working directory.
"""

import os
import re

# A `~` is expanded at the start of a path, of each path in a comma-separated
# list, and of the file with a list of paths that follows an @.
_HOME = re.compile(r"(?P<before>(?:^|,)\s*@?)(?P<home>~[^/,]*)")


def expand(paths: str) -> str:
  """Replaces `~` and `~user` at the start of each path by the home folder.

  Args:
    paths: A path, a pattern of paths, or several of these separated by commas.

  Returns:
    The expanded paths.

  Raises:
    ValueError: If the user or the user's home folder is unknown.
  """
  return _HOME.sub(lambda match: match["before"] + _path(match["home"]), paths)


def _path(home: str) -> str:
  path = os.path.expanduser(home)
  if path.startswith("~"):
    raise ValueError(
        f"{home} at the start of a path stands for a home folder, which is"
        f" unknown. For a file or folder of that name, write ./{home}."
    )
  return path
