"""Tests of input_files."""

import errno
import json
import os
from pathlib import Path
from unittest import mock

from absl.testing import parameterized
import tensorflow as tf

from im2txt.batch_captioning import input_files


class InputFilesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = Path(self.create_tempdir().full_path)
    for name in ("b.jpg", "a.jpg", "c.png", "d[1].jpg", "e,f.jpg"):
      (self.folder / name).write_bytes(name.encode())

  def _given(self, *names):
    """The names in the folder, with a mark before them where one was."""
    return [
        f"{name[:1]}{self.folder / name[1:]}"
        if name.startswith(("@", " "))
        else str(self.folder / name)
        for name in names
    ]

  @parameterized.parameters(
      (["a.jpg"], ["a.jpg"], []),
      (["*.jpg"], ["a.jpg", "b.jpg", "d[1].jpg", "e,f.jpg"], []),
      # The order given, each file once.
      (["b.jpg", "[a-c].*"], ["b.jpg", "a.jpg", "c.png"], []),
      (["c.png", " a.jpg"], ["c.png", "a.jpg"], []),
      # Names that look like patterns or like several names.
      (["d[1].jpg"], ["d[1].jpg"], []),
      (["e,f.jpg"], ["e,f.jpg"], []),
      (["a.jpg", "no.jpg", "*.gif"], ["a.jpg"], ["no.jpg", "*.gif"]),
  )
  def test_finds(self, patterns, names, missing):
    files, problems = input_files.find(",".join(self._given(*patterns)))
    self.assertEqual(files, self._given(*names))
    self.assertEqual(
        problems,
        dict.fromkeys(self._given(*missing), "There is no such file."),
    )

  def test_the_images_of_a_folder(self):
    for name in ("notes.txt", "B.JPEG", "g.webp"):
      (self.folder / name).touch()
    (self.folder / "more").mkdir()
    (self.folder / "more" / "deep.jpg").touch()
    (self.folder / "empty").mkdir()
    names = ["B.JPEG", "a.jpg", "b.jpg", "c.png", "d[1].jpg", "e,f.jpg"]
    files, problems = input_files.find(f"{self.folder},{self.folder}/empty")
    self.assertEqual(files, self._given(*names, "g.webp"))
    self.assertEqual(
        problems,
        {f"{self.folder}/empty": "There is no image in this folder."},
    )

  @parameterized.parameters("{0}", "{0},{0}/more", "{0}/a.jpg,{0},{0}/no")
  def test_what_a_folder_has_besides(self, patterns):
    for name in ("phone.heic", "notes.txt", ".hidden"):
      (self.folder / name).touch()
    (self.folder / "more").mkdir()
    patterns = patterns.format(self.folder)
    files, _ = input_files.find(patterns)
    self.assertEqual(
        input_files.left_out(patterns, files),
        self._given("notes.txt", "phone.heic"),
    )

  def test_nothing_is_left_out_without_a_folder(self):
    (self.folder / "phone.heic").touch()
    pattern = f"{self.folder}/*.jpg"
    files, _ = input_files.find(pattern)
    self.assertEmpty(input_files.left_out(pattern, files))

  @parameterized.parameters("a.jfif", "a.JPE", "a.tif", "a.avif", "a.jp2")
  def test_names_of_images(self, name):
    folder = Path(self.create_tempdir().full_path)
    (folder / name).touch()
    self.assertEqual(input_files.find(str(folder)), ([f"{folder}/{name}"], {}))

  def test_the_files_of_a_list(self):
    listed = self._given("e,f.jpg", "no.jpg", "a.jpg")
    (self.folder / "list.txt").write_text("\r\n".join([*listed, "", " "]))
    (self.folder / "none.txt").write_text("\n")
    (self.folder / "utf16.txt").write_text("a.jpg", encoding="utf-16")
    marked = self._given("@list.txt", "@none.txt", "@utf16.txt", "@no.txt")
    files, problems = input_files.find(",".join([listed[2], *marked]))
    # Whether they are there is seen when they are read.
    self.assertEqual(files, [listed[2], *listed[:2]])
    self.assertEqual(
        problems,
        {
            marked[1]: "There is no name in this list.",
            marked[2]: "This list is not a UTF-8 text.",
            marked[3]: "There is no such list.",
        },
    )

  @parameterized.parameters(
      # As some editors mark UTF-8.
      (b"\xef\xbb\xbfa.jpg\nb.jpg\n", ["a.jpg", "b.jpg"]),
      (b"caf\xe9.jpg\ncaf\xc3\xa9.jpg", ["caf\udce9.jpg", "caf\u00e9.jpg"]),
  )
  def test_names_in_a_list(self, content, names):
    (self.folder / "list.txt").write_bytes(content)
    files, _ = input_files.find(f"@{self.folder}/list.txt")
    self.assertEqual(files, names)

  def test_a_list_from_a_pipe(self):
    source, sink = os.pipe()
    os.write(sink, b"a.jpg\n")
    os.close(sink)
    self.assertEqual(input_files.find(f"@/dev/fd/{source}"), (["a.jpg"], {}))
    os.close(source)

  @parameterized.parameters(
      ("isdir", "ram://locked"), ("exists", "@ram://locked")
  )
  def test_what_may_not_be_read_spoils_no_other(self, method, locked):
    unpatched = getattr(tf.io.gfile, method)

    def refuse(path):
      if path.startswith("ram:"):
        raise tf.errors.PermissionDeniedError(None, None, "Permission denied")
      return unpatched(path)

    (image,) = self._given("a.jpg")
    with mock.patch.object(tf.io.gfile, method, refuse):
      files, problems = input_files.find(f"{locked},{image}")
    self.assertEqual(files, [image])
    self.assertEqual(problems, {locked: "It can't be read: Permission denied."})

  @parameterized.parameters(("listdir", ""), ("scandir", "/*.jpg"))
  def test_a_folder_that_may_not_be_read(self, method, pattern):
    locked = f"{self.folder}/locked{pattern}"
    (self.folder / "locked").mkdir()
    (image,) = self._given("a.jpg")
    error = PermissionError(errno.EACCES, "Permission denied", locked)
    with mock.patch.object(os, method, side_effect=error):
      files, problems = input_files.find(f"{locked},{image}")
    self.assertEqual(files, [image])
    self.assertEqual(problems, {locked: "It can't be read: Permission denied."})

  @parameterized.parameters("", "/*.jpg", "/a\udcff.jpg")
  def test_names_that_are_no_utf_8(self, pattern):
    folder = self.folder / "caf\udce9"
    folder.mkdir()
    file = f"{folder}/a\udcff.jpg"
    Path(file).write_bytes(b"image")
    self.assertEqual(input_files.find(f"{folder}{pattern}"), ([file], {}))
    self.assertEqual(input_files.read(file), b"image")

  def test_files_elsewhere(self):
    file = "ram://folder/a.jpg"
    with tf.io.gfile.GFile(file, "wb") as opened:
      opened.write(b"image")
    for pattern in ("ram://folder", "ram://folder/*.jpg", file):
      self.assertEqual(input_files.find(pattern), ([file], {}))
    self.assertEqual(input_files.read(file), b"image")

  def test_a_name_that_looks_like_a_list(self):
    os.chdir(self.folder)
    (self.folder / "@home.jpg").touch()
    self.assertEqual(input_files.find("@home.jpg"), (["@home.jpg"], {}))

  @parameterized.parameters(
      ("", ""),
      ("*.gif", " There is no such file."),
      ("@no.txt", " There is no such list."),
      ("no.jpg,*.gif", " There is no such file."),
      ("empty,*.gif", " There is no image in this folder. There is no such"),
  )
  def test_no_file_at_all(self, patterns, reasons):
    (self.folder / "empty").mkdir()
    os.chdir(self.folder)
    with self.assertRaisesRegex(
        FileNotFoundError, f"matches --input_files. Got: .*'.{reasons}"
    ):
      input_files.find(patterns)

  def test_reads(self):
    self.assertEqual(input_files.read(str(self.folder / "a.jpg")), b"a.jpg")

  @parameterized.parameters(os.mkfifo, os.mkdir)
  def test_reads_only_files(self, make):
    path = str(self.folder / "special.jpg")
    make(path)
    with self.assertRaisesRegex(OSError, "Not a regular file.*special.jpg"):
      input_files.read(path)


class ImageIdsTest(parameterized.TestCase):

  def _write(self, images):
    file = self.create_tempfile(content=json.dumps({"images": images}))
    return file.full_path

  def test_names_of_mscoco(self):
    files = ["x/COCO_val2014_000000224477.jpg", "000000000139.png"]
    self.assertEqual(
        input_files.image_ids(files), {files[0]: 224477, files[1]: 139}
    )

  @parameterized.parameters("IMG_1234.jpg", "dog.jpg", "1234567890123.jpg")
  def test_other_names(self, name):
    with self.assertRaisesRegex(ValueError, f"'{name}' has no image id"):
      input_files.image_ids([f"folder/{name}"])

  def test_a_captions_file(self):
    path = self._write(
        [
            {"id": 7, "file_name": "dog.jpg", "width": 5},
            {"id": 8, "file_name": "000000000139.jpg"},
        ]
    )
    files = ["a/000000000139.jpg", "b/dog.jpg"]
    self.assertEqual(
        input_files.image_ids(files, path), {files[0]: 8, files[1]: 7}
    )
    with self.assertRaisesRegex(ValueError, "lists no image 'cat.jpg'"):
      input_files.image_ids(["cat.jpg"], path)

  @parameterized.parameters(
      "b/1.jpg", "/pics/b/1.jpg", r"b\\1.jpg", "pics/b/1.jpg"
  )
  def test_files_in_folders(self, listed):
    path = self._write(
        [
            {"id": 7, "file_name": "a/1.jpg"},
            {"id": 8, "file_name": listed.replace("\\\\", "\\")},
            {"id": 9.0, "file_name": "c/2.jpg"},
        ]
    )
    files = ["/pics/b/1.jpg", "/pics/a/1.jpg", "/moved/2.jpg"]
    self.assertEqual(
        [8, 7, 9], list(input_files.image_ids(files, path).values())
    )
    with self.assertRaisesRegex(ValueError, "lists several images called '1.j"):
      input_files.image_ids(["/pics/c/1.jpg"], path)

  def test_the_same_image_twice(self):
    files = ["a/000000000139.jpg", "b/000000000139.jpg"]
    with self.assertRaisesRegex(
        ValueError, f"{files[0]} and {files[1]} .* 139"
    ):
      input_files.image_ids(files)


if __name__ == "__main__":
  tf.test.main()
