"""Reads text files that people write, such as lists and tables of captions."""

import codecs
from pathlib import Path

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(path: str, what: str) -> str:
  """Reads a text file.

  Args:
    path: The file, in UTF-8 with or without a byte order mark, or in UTF-16
      with a byte order mark, which spreadsheets call Unicode text.
    what: Description of the file for error messages, such as "captions file".

  Returns:
    The text.

  Raises:
    FileNotFoundError: If the file is missing.
    ValueError: If the file has another encoding. The message has the line.
  """
  if not Path(path).is_file():
    raise FileNotFoundError(f"There is no {what} {path!r}.")
  content = Path(path).read_bytes()
  encoding = "utf-16" if content.startswith(_UTF16_MARKS) else "utf-8-sig"
  try:
    text = content.decode(encoding)
  except UnicodeDecodeError as error:
    line = content.count(b"\n", 0, error.start) + 1
    raise ValueError(
        f"{path} is not a UTF-8 text: see line {line}. Save it as UTF-8."
    ) from None
  if "\0" in text:
    line = text.count("\n", 0, text.index("\0")) + 1
    raise ValueError(
        f"{path} is not a UTF-8 text: line {line} contains a zero byte. Save it"
        " as UTF-8."
    )
  return text
