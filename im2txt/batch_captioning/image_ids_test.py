"""Tests of image_ids."""

import json

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.batch_captioning import image_ids


class ImageIdsTest(parameterized.TestCase):

  def _write(self, images):
    file = self.create_tempfile(content=json.dumps({"images": images}))
    return file.full_path

  def test_names_of_mscoco(self):
    files = ["x/COCO_val2014_000000224477.jpg", "000000000139.png"]
    self.assertEqual(image_ids.find(files), {files[0]: 224477, files[1]: 139})

  @parameterized.parameters("IMG_1234.jpg", "dog.jpg", "1234567890123.jpg")
  def test_other_names(self, name):
    with self.assertRaisesRegex(ValueError, f"'{name}' has no image id"):
      image_ids.find([f"folder/{name}"])

  def test_a_captions_file(self):
    path = self._write(
        [
            {"id": 7, "file_name": "dog.jpg", "width": 5},
            {"id": 8, "file_name": "000000000139.jpg"},
        ]
    )
    files = ["a/000000000139.jpg", "b/dog.jpg"]
    self.assertEqual(image_ids.find(files, path), {files[0]: 8, files[1]: 7})
    with self.assertRaisesRegex(ValueError, "lists no image 'cat.jpg'"):
      image_ids.find(["cat.jpg"], path)

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
    self.assertEqual([8, 7, 9], list(image_ids.find(files, path).values()))
    with self.assertRaisesRegex(ValueError, "lists several images called '1.j"):
      image_ids.find(["/pics/c/1.jpg"], path)

  def test_the_same_image_twice(self):
    files = ["a/000000000139.jpg", "b/000000000139.jpg"]
    with self.assertRaisesRegex(
        ValueError, f"{files[0]} and {files[1]} .* 139"
    ):
      image_ids.find(files)


if __name__ == "__main__":
  absltest.main()
