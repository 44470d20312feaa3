"""Tests of caption_sources."""

import json

from absl.testing import absltest
from absl.testing import parameterized
import hypothesis
from hypothesis import strategies

from im2txt.data import caption_sources

_MSCOCO = {
    "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a"}],
    "annotations": [
        {"image_id": 3, "caption": "Three."},
        {"image_id": 7, "caption": "Seven."},
        {"image_id": 7, "caption": "Sept."},
    ],
}
_KARPATHY = {
    "images": [
        {
            "filepath": "val2014",
            "filename": "x.jpg",
            "cocoid": 391895,
            "imgid": 0,
            "sentids": [770337, 771687],
            "sentences": [{"raw": "A man.", "tokens": []}, {"raw": "Two."}],
            "split": "restval",
        },
        {
            "filename": "y.jpg",
            "imgid": 1,
            "sentences": [{"raw": "A dog."}],
            "split": "test",
        },
    ],
    "dataset": "coco",
}
_TWO = [("1.jpg", ["One dog.", "A dog"], None, None)]
_TWO += [("2.jpg", ["Two dogs"], None, None)]


class CaptionSourcesTest(parameterized.TestCase):

  def _read(self, content: str, form: str = "auto"):
    path = self.create_tempfile(content=content.encode(), mode="wb").full_path
    return caption_sources.read(path, form)

  @parameterized.named_parameters(
      (
          "mscoco",
          json.dumps(_MSCOCO),
          [
              ("b.jpg", ["Seven.", "Sept."], 7, None),
              ("a", ["Three."], 3, None),
          ],
      ),
      (
          "karpathy",
          json.dumps(_KARPATHY),
          [
              ("val2014/x.jpg", ["A man.", "Two."], 391895, "restval"),
              ("y.jpg", ["A dog."], 1, "test"),
          ],
      ),
      (
          "flickr",
          "1.jpg#0\tOne dog.\n1.jpg#1\tA dog\r\n\n2.jpg#0\tTwo dogs\n",
          _TWO,
      ),
      (
          "flickr_with_names_of_amazon",
          "2258277193.jpg.1#0\tA boy # 1 .\n",
          [("2258277193.jpg.1", ["A boy # 1 ."], None, None)],
      ),
      (
          "csv",
          "image,caption\n1.jpg,One dog.\n1.jpg,A dog\n2.jpg,Two dogs\n",
          _TWO,
      ),
      (
          "csv_after_empty_lines",
          "\n\r\nimage,caption\n1.jpg,One dog.\n1.jpg,A dog\n2.jpg,Two dogs",
          _TWO,
      ),
      (
          "csv_with_lines_in_a_caption",
          'image,caption\na,One\u2028two\r\na,"Three\nfour"\r\n',
          [("a", ["One\u2028two", "Three\nfour"], None, None)],
      ),
      (
          "flickr_with_lines_in_a_caption",
          "a#0\tOne\u2028two\r\na#1\tThree\x85four\n",
          [("a", ["One\u2028two", "Three\x85four"], None, None)],
      ),
      (
          "csv_of_excel",
          "\ufeffCaption;File\r\nOne dog.;1.jpg\r\nA dog;1.jpg\r\n"
          "Two dogs;2.jpg\r\n",
          _TWO,
      ),
      (
          "csv_of_flickr30k",
          "image_name| comment_number| comment\n1.jpg| 0| One dog.\n"
          "1.jpg| 1| A dog\n2.jpg| 0| Two dogs\n",
          _TWO,
      ),
      (
          "csv_of_flickr30k_as_published",
          "image_name| comment_number| comment\r\n"
          '7.jpg| 3| "Stop " is on the sign | and 2 dogs .\r\n'
          "7.jpg| 4   A dog runs across the grass .\r\n"
          '8.jpg| 0| " 4 men\r\n',
          [
              (
                  "7.jpg",
                  [
                      '"Stop " is on the sign | and 2 dogs .',
                      "A dog runs across the grass .",
                  ],
                  None,
                  None,
              ),
              ("8.jpg", ['" 4 men'], None, None),
          ],
      ),
      (
          "csv_with_more",
          'image_id,image,split,caption\n5,a.jpg,dev,"Big, ""red"" dog"\n',
          [("a.jpg", ['Big, "red" dog'], 5, "val")],
      ),
      (
          "jsonl",
          '{"image": "1.jpg", "caption": "One dog."}\n\n'
          '{"file_name": "1.jpg", "text": "A dog"}\n'
          '{"image": "2.jpg", "captions": ["Two dogs"]}',
          _TWO,
      ),
      (
          "json_array",
          '[{"image": "a", "image_id": 4, "split": "Train", "caption": "b"}]',
          [("a", ["b"], 4, "train")],
      ),
      (
          "one_object",
          '{"image": "a", "caption": "b"}',
          [("a", ["b"], None, None)],
      ),
  )
  def test_reads_any_form(self, content, expected):
    self.assertEqual(self._read(content), expected)

  def test_captions_are_in_nfc_and_names_are_not(self):
    ((name, captions, _, _),) = self._read("e\u0301.jpg#0\tcafe\u0301")
    self.assertEqual((name, captions), ("e\u0301.jpg", ["caf\u00e9"]))

  def test_uses_the_given_format(self):
    with self.assertRaisesRegex(ValueError, "flickr captions: line 1 is not"):
      self._read("image,caption\na,b", "flickr")
    self.assertLen(self._read("image,caption\na#0\tx,b", "csv"), 1)

  @parameterized.named_parameters(
      ("nothing", "", "has no captions|none of the columns"),
      ("only_a_head", "image,caption\n", "has no captions"),
      ("no_head", "1.jpg,One dog\n2.jpg,Two", "none of the columns image, "),
      ("short_row", "image,caption\na\n", "line 2 has 1 columns, but .* 2"),
      ("long_row", "image,caption\na,b,c\n", "line 2 has 3 columns, but .* 2"),
      ("open_quote", 'image,caption\na,"b\n', "as csv captions: line 2: "),
      ("flickr_line", "a#0\tb\nc\n", "line 2 is not NAME#NUMBER"),
      (
          "flickr30k_line",
          "image_name| comment_number| comment\na| 0| b\na| b\n",
          r"line 3 is not NAME\| NUMBER\| CAPTION. Got: 'a\| b",
      ),
      ("json_line", '{"image": "a", "caption": "b"}\n{', "line 2: .*Expecting"),
      ("no_caption", '{"image": "a"}', "line 1: none of the columns captions"),
      ("no_object", "[1]", "an image must be an object. Got: 1"),
      ("split", '[{"image":"a","caption":"b","split":"x"}]', "Got: 'x'"),
      (
          "number",
          '[{"image": "a", "caption": 5}]',
          "object 1: a caption must be a string. Got: 5",
      ),
      (
          "null",
          '[{"image": "a", "captions": [null]}]',
          "a caption of a must be a string. Got",
      ),
      (
          "half_a_character",
          '[{"image": "a.jpg", "caption": "a \\ud83d dog"}]',
          r"object 1: a caption of a.jpg contains half",
      ),
      (
          "half_a_character_in_a_name",
          '[{"image": "\\udc36.jpg", "caption": "a dog"}]',
          "a file name contains half",
      ),
      (
          "two_splits",
          '[{"image": "a", "caption": "b", "split": "train"},'
          ' {"image": "a", "caption": "b", "split": "val"}]',
          "object 2: this row of a has another image_id or split",
      ),
      (
          "quote_within_a_caption",
          'image,caption\n1.jpg,"a\nb"\n\n4.jpg,"Hello" says a sign\n',
          "line 5: .*expected after.*quotation mark",
      ),
      (
          "open_quote_among_many",
          "image,caption\n" + "a,b\n" * 9 + 'a,"b\n' + "a,b\n" * 9,
          "line 11: unexpected end of data",
      ),
      (
          "quote_that_takes_in_rows",
          'image,caption\na,b\na,"b\na,b\na,b","b"\n',
          "line 3 has 3 columns",
      ),
      (
          "tabs",
          'image\tcaption\n1.jpg\t"a" b\n',
          "line 2: .*quotation mark",
      ),
      (
          "id_of_a_table",
          "image,caption,image_id\na,b,1\nc,d,x1\n",
          "line 3: an image id must be a 64-bit integer. Got: 'x1'",
      ),
      (
          "id_of_a_line",
          '{"image": "a", "caption": "b", "image_id": 1.5}',
          "line 1: an image id must be .* Got: 1.5",
      ),
      (
          "other_ids_of_an_image",
          "image,caption,image_id\na,b,1\na,d,2\n",
          "line 3: this row of a has another image_id",
      ),
      ("deep", "[" * 100_000, "nested too deeply"),
      ("deep_line", '{"image": ' + "[" * 100_000, "line 1: .*nested too deep"),
      (
          "digits",
          '{"image": "a", "caption": "b", "image_id": ' + "9" * 5000 + "}",
          "line 1: a number of 5000 digits",
      ),
      ("zero_character", "image,caption\na,b\0\n", "line 2 contains a zero"),
      (
          "images_alone",
          '{"images": [{"id": 1, "file_name": "1.jpg"}], "licenses": []}',
          "mscoco captions: .*lists images without captions",
      ),
      (
          "objects_in_images",
          '{"images": [{"id": 1, "file_name": "1.jpg"}],'
          ' "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]}',
          "like those of instances_.*.json",
      ),
      ("no_sentences", '{"images": [{"filename": "x"}]}', "the field 'sent"),
      (
          "mscoco_twice",
          json.dumps({**_MSCOCO, "images": _MSCOCO["images"] * 2}),
          "it lists the image 7 more than once",
      ),
  )
  def test_refuses(self, content, message):
    with self.assertRaisesRegex(ValueError, message):
      self._read(content)

  @parameterized.parameters("101", " 101 ", "101.0", "101.", "1.01e2", "+101")
  def test_image_id_of_a_table(self, image_id):
    (image,) = self._read(f"image,caption,image_id\na,b,{image_id}\n")
    self.assertEqual(101, image.image_id)

  @parameterized.parameters("101", "101.0", '"101"', '"101.0"')
  def test_image_id_of_json(self, image_id):
    (image,) = self._read(
        f'{{"image": "a", "caption": "b", "image_id": {image_id}}}'
    )
    self.assertEqual(101, image.image_id)

  @parameterized.parameters("", "nan", "NaN", "null")
  def test_gap_in_the_ids(self, gap):
    images = self._read(f"image,caption,image_id\na,b,1.0\nc,d,{gap}\n")
    self.assertEqual([1, None], [image.image_id for image in images])

  def test_long_caption(self):
    (image,) = self._read("image,caption\na," + "b" * 200_000)
    self.assertLen(image.captions[0], 200_000)

  def test_utf_16(self):
    content = "image,caption\na,ein Café\n".encode("utf-16")
    path = self.create_tempfile(content=content, mode="wb").full_path
    (image,) = caption_sources.read(path)
    self.assertEqual(["ein Café"], image.captions)

  @hypothesis.given(strategies.text(max_size=60), strategies.booleans())
  @hypothesis.settings(deadline=None)
  def test_any_text_is_read_or_refused_in_words(self, text, is_table):
    path = self.create_tempfile().full_path
    if is_table:
      text = f"image,caption,image_id\n{text}"
    with open(path, "wb") as file:
      file.write(text.encode("utf-8", "surrogatepass"))
    try:
      caption_sources.read(path)
    except ValueError as error:
      self.assertStartsWith(str(error), path)

  def test_refuses_other_files(self):
    with self.assertRaisesRegex(FileNotFoundError, "no captions file '/no'"):
      caption_sources.read("/no")
    path = self.create_tempfile(content=b"\xff\xfea", mode="wb").full_path
    with self.assertRaisesRegex(ValueError, "is not a UTF-8 text"):
      caption_sources.read(path)


_IMAGES = [
    {"id": 7, "file_name": "seven.jpg", "license": 1},
    {"id": -3, "file_name": "three.jpg"},
    {"id": 9, "file_name": "more/nine.jpg"},
]


class CaptionsJsonTest(parameterized.TestCase):

  def _load(self, content: bytes) -> list[caption_sources.CaptionedImage]:
    path = self.create_tempfile("captions.json", content, mode="wb").full_path
    return caption_sources.load_captions(path, "/images/")

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
        caption_sources.load_captions(path, None), [(1, "", ["One."])]
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
          "lists images without captions",
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
          r"a caption of image 5 contains half.* Got: 'a \\ud83d dog'",
      ),
      (
          "half_a_character_in_a_name",
          b'{"images": [{"id": 5, "file_name": "\\udc36"}]}',
          r"a file name contains half.* Got: '\\udc36'",
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
          "it has a caption of image 1, which it does not list",
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
        caption_sources.CaptionedImage(7, "seven.jpg", ["One.", "Two."]),
        caption_sources.CaptionedImage(-3, "more/three.jpg", []),
        caption_sources.CaptionedImage(9, "nine.jpg", ["Three."]),
    ]
    content = caption_sources.content_of(images)
    self.assertEqual(
        content["annotations"][1:],
        [
            {"id": 1, "image_id": 7, "caption": "Two."},
            {"id": 2, "image_id": 9, "caption": "Three."},
        ],
    )
    path = self.create_tempfile(content=json.dumps(content)).full_path
    self.assertEqual(caption_sources.load_captions(path, ""), images)

  def test_names_a_missing_file(self):
    with self.assertRaisesRegex(FileNotFoundError, "'/no/captions.json'"):
      caption_sources.load_captions("/no/captions.json", "/images")

  def test_image_ids_by_file_name(self):
    path = self.create_tempfile(content=json.dumps({"images": _IMAGES}))
    self.assertEqual(
        caption_sources.load_image_ids(path.full_path),
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
      caption_sources.load_image_ids(path.full_path)


if __name__ == "__main__":
  absltest.main()
