"""Tests of captions_json."""

import json

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import captions_json

_IMAGES = [
    {"id": 7, "file_name": "seven.jpg", "license": 1},
    {"id": -3, "file_name": "three.jpg"},
    {"id": 9, "file_name": "more/nine.jpg"},
]


class CaptionsJsonTest(parameterized.TestCase):

  def _load(self, content: bytes) -> list[captions_json.CaptionedImage]:
    path = self.create_tempfile("captions.json", content, mode="wb").full_path
    return captions_json.load_captions(path, "/images/")

  def test_keeps_the_order_of_images_and_of_their_captions(self):
    annotations = [
        {"id": 4, "image_id": 9, "caption": "Nine."},
        {"id": 3, "image_id": 7, "caption": "Seven, one."},
        {"id": 2, "image_id": 9, "caption": "Neuf café."},
        {"id": 1, "image_id": 7, "caption": ""},
    ]
    content = {"info": {}, "images": _IMAGES, "annotations": annotations}
    self.assertEqual(
        self._load(json.dumps(content).encode()),
        [
            (7, "/images/seven.jpg", ["Seven, one.", ""]),
            (-3, "/images/three.jpg", []),
            (9, "/images/more/nine.jpg", ["Nine.", "Neuf café."]),
        ],
    )

  def test_file_names_may_be_missing_where_only_captions_matter(self):
    path = self.create_tempfile(
        content='{"images": [{"id": 1}],'
        ' "annotations": [{"image_id": 1, "caption": "One."}]}'
    ).full_path
    self.assertEqual(
        captions_json.load_captions(path, None), [(1, "", ["One."])]
    )

  @parameterized.named_parameters(
      (
          "no_json",
          b'{"images": [',
          "is not valid JSON: line 1, column 13: Expecting value",
      ),
      ("no_utf8", b'["\xff"]', "is not valid JSON: line 1 is not UTF-8"),
      (
          "list",
          b"[]",
          'must be an object with "images" and "annotations". Got: a list',
      ),
      ("no_images", b"{}", "the field 'images' is missing"),
      (
          "no_annotations",
          b'{"images": []}',
          "lists images and holds no captions",
      ),
      (
          "no_file_name",
          b'{"images": [{"id": 1}]}',
          "the field 'file_name' is missing",
      ),
      (
          "id_is_text",
          b'{"images": [{"id": "1a", "file_name": "x"}]}',
          "image id must be a 64-bit integer. Got: '1a'",
      ),
      (
          "id_is_too_large",
          b'{"images": [{"id": 9223372036854775808, "file_name": "x"}]}',
          "image id must be a 64-bit integer. Got: 9223372036854775808",
      ),
      (
          "file_name_is_a_number",
          b'{"images": [{"id": 1, "file_name": 1}]}',
          "a file name must be a string. Got: 1",
      ),
      (
          "half_a_character",
          b'{"images": [{"id": 5, "file_name": "x"}],'
          b' "annotations": [{"image_id": 5, "caption": "a \\ud83d dog"}]}',
          r"a caption of image 5 has half a character.* Got: 'a \\ud83d dog'",
      ),
      (
          "half_a_character_in_a_name",
          b'{"images": [{"id": 5, "file_name": "\\udc36"}]}',
          r"a file name has half a character.* Got: '\\udc36'",
      ),
      (
          "image_twice",
          b'{"images": [{"id": 1, "file_name": "x"},'
          b' {"id": 1, "file_name": "y"}], "annotations": []}',
          "it lists the image 1 more than once",
      ),
      (
          "caption_without_image",
          b'{"images": [], "annotations": [{"image_id": 1, "caption": "a"}]}',
          "it has a caption of image 1, but no image",
      ),
      (
          "caption_is_no_text",
          b'{"images": [{"id": 1, "file_name": "x"}],'
          b' "annotations": [{"image_id": 1, "caption": null}]}',
          "a caption of image 1 must be a string. Got: None",
      ),
  )
  def test_refuses(self, content, message):
    with self.assertRaisesRegex(ValueError, f"captions.json .*{message}"):
      self._load(content)

  def test_makes_what_it_reads(self):
    images = [
        captions_json.CaptionedImage(7, "seven.jpg", ["One.", "Two."]),
        captions_json.CaptionedImage(-3, "more/three.jpg", []),
        captions_json.CaptionedImage(9, "nine.jpg", ["Three."]),
    ]
    content = captions_json.content_of(images)
    self.assertEqual(
        content["annotations"][1:],
        [
            {"id": 1, "image_id": 7, "caption": "Two."},
            {"id": 2, "image_id": 9, "caption": "Three."},
        ],
    )
    path = self.create_tempfile(content=json.dumps(content)).full_path
    self.assertEqual(captions_json.load_captions(path, ""), images)

  def test_names_a_missing_file(self):
    with self.assertRaisesRegex(FileNotFoundError, "'/no/captions.json'"):
      captions_json.load_captions("/no/captions.json", "/images")

  def test_image_ids_by_file_name(self):
    path = self.create_tempfile(content=json.dumps({"images": _IMAGES}))
    self.assertEqual(
        captions_json.load_image_ids(path.full_path),
        {"seven.jpg": 7, "three.jpg": -3, "more/nine.jpg": 9},
    )

  @parameterized.parameters(
      ([{"id": 1}], "the field 'file_name' is missing"),
      ([{"id": 1, "file_name": 5}], "a file name must be a string. Got: 5"),
      ([{"id": 1, "file_name": "x"}] * 2, "the file 'x' more than once"),
      (
          [{"id": 1, "file_name": "x"}, {"id": 1, "file_name": "y"}],
          "several files the same id",
      ),
  )
  def test_rejects_image_ids(self, images, message):
    path = self.create_tempfile(content=json.dumps({"images": images}))
    with self.assertRaisesRegex(
        ValueError, f"is not a captions JSON: .*{message}"
    ):
      captions_json.load_image_ids(path.full_path)


if __name__ == "__main__":
  absltest.main()
