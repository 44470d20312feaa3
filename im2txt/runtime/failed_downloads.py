"""Recognizes files that are not what their names suggest.

A download of weights often results in something else: a Git LFS pointer, the
web page of a download service, or an empty file. A program that could not read
a file describes it with this module.
"""

import tensorflow as tf

# Longer than a Git LFS pointer, and enough of a page to recognize it.
_HEAD_BYTES = 512
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error", b"<!--")
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
# Keras' format is a zip archive.
_ZIP_SUFFIXES = (".keras", ".npz", ".zip")


def describe(path: str) -> str | None:
  """Describes a file that is evidently not a data file.

  Args:
    path: Path of an existing file.

  Returns:
    A clause with advice, such as "is empty: download it again"; None if the
    file may be what its name suggests.
  """
  with tf.io.gfile.GFile(path, "rb") as file:
    head = file.read(_HEAD_BYTES)
  if not head:
    return "is empty: download or copy it again"
  if head.startswith(_LFS_POINTER):
    return (
        "is a Git LFS pointer, not the file itself: run `git lfs pull` in the"
        " repository that it is from"
    )
  text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
  if text.startswith(_PAGE_STARTS):
    return (
        "is a web page, not the file itself: open the link in a browser, and"
        " download the file again"
    )
  for magic, kind in _ARCHIVES.items():
    if head.startswith(magic) and not path.endswith(_ZIP_SUFFIXES):
      return f"is a {kind} archive: unpack it, and give what it contains"
  return None
