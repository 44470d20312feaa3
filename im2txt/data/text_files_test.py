"""Tests of text_files."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import text_files


class TextFilesTest(parameterized.TestCase):

  @parameterized.parameters("utf-8", "utf-8-sig", "utf-16")
  def test_encodings(self, encoding):
    content = "ein Café\r\nzwei\n".encode(encoding)
    path = self.create_tempfile(content=content, mode="wb").full_path
    self.assertEqual("ein Café\r\nzwei\n", text_files.read(path, "list"))

  @parameterized.named_parameters(
      ("latin_1", "a\nb\nein Café\n".encode("latin-1"), "see line 3. Save it"),
      ("zero", b"a\nb\0\n", "line 2 contains a zero"),
      (
          "utf_16_without_mark",
          "a\nb".encode("utf-16-le"),
          "line 1 contains a zero",
      ),
      ("odd_utf_16", b"\xff\xfea", "is not a UTF-8 text: see line 1"),
  )
  def test_refuses(self, content, message):
    path = self.create_tempfile(content=content, mode="wb").full_path
    with self.assertRaisesRegex(ValueError, f"{path} .*{message}"):
      text_files.read(path, "list")

  def test_missing(self):
    with self.assertRaisesRegex(FileNotFoundError, "no list of dogs '/no'"):
      text_files.read("/no", "list of dogs")


if __name__ == "__main__":
  absltest.main()
