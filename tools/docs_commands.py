"""Finds the shell commands in a Markdown page."""

from collections.abc import Iterator
import dataclasses
import re

# The first word of an indented block of commands; other blocks are output or
# files.
_FIRST_WORD = re.compile(
    r"(\./bazelw|bazel-bin/|bash|cat|cd|curl|docker|export|for|git|im2txt-\w+"
    r"|kubectl|mkdir|pip|python3?|sbatch|srun|tensorflow_model_server|TF_CONFIG="
    r"|[A-Z_]+_DIR=)"
)
_SHELLS = ("bash", "sh", "shell")


@dataclasses.dataclass(frozen=True)
class Block:
  """A block of commands.

  Attributes:
    line: The number of its first line in the page, from 1.
    script: The commands, without indentation.
  """

  line: int
  script: str


def find(markdown: str) -> list[Block]:
  """Returns the blocks of shell commands of a page, in order.

  These are the fenced blocks marked as shell (```bash), and the indented blocks
  that start with a command. Blocks that only continue a command, such as a flag
  to add, are not included.

  Args:
    markdown: The text of the page.

  Returns:
    The blocks.
  """
  return [
      block
      for language, block in _code_blocks(markdown.splitlines())
      if language in _SHELLS
      or (language is None and _FIRST_WORD.match(block.script))
  ]


def _code_blocks(lines: list[str]) -> Iterator[tuple[str | None, Block]]:
  """Yields all code blocks; the language of an indented block is None."""
  i = 0
  while i < len(lines):
    start = i
    i += 1
    if lines[start].startswith("```"):
      while i < len(lines) and not lines[i].startswith("```"):
        i += 1
      language = lines[start].removeprefix("```").strip()
      yield language, Block(start + 2, "\n".join(lines[start + 1 : i]))
      i += 1
    elif lines[start].startswith("    ") and not (start and lines[start - 1]):
      while i < len(lines) and (not lines[i] or lines[i].startswith("    ")):
        i += 1
      script = "\n".join(line[4:] for line in lines[start:i])
      yield None, Block(start + 1, script.rstrip())
