"""Tests of caption_tokenizer."""

import shutil
import unittest

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.testing import fake_java

_CAPTIONS = (
    ("case_and_full_stop", "A red Ball.", "a red ball"),
    ("marks", "well , “yes” -- why?\n A: b;c", "well yes why a b c"),
    ("exclamations", "a man!! Really?! no!", "a man !! really ?! no"),
    ("contractions", "Don't; it's Ann’s", "do n't it 's ann 's"),
    ("two_words", "cannot gonna", "can not gon na"),
    ("plural", "two dogs' toys", "two dogs toys"),
    ("names", "O'Neil's t-shirt", "o'neil 's t-shirt"),
    ("abbreviations", "Mr. Smith on Oak St.", "mr. smith on oak st."),
    ("initials", "U.S. planes at 5 p.m. today", "u.s. planes at 5 p.m. today"),
    ("stops", "one.. two… e.g. three", "one two e.g. three"),
    ("numbers", "1,000 of 2.5 at 12:30", "1,000 of 2.5 at 12:30"),
    ("symbols", "50% of $5 & a/b #1", "50 % of $ 5 & a/b # 1"),
    ("letter", "Plan B. is no. 1 here. No.", "plan b. is no. 1 here no"),
    ("quoted", "slip 'n' slide", "slip 'n' slide"),
    ("brackets", "a (big) [dog]", "a -lrb- big -rrb- -lsb- dog -rsb-"),
    ("non_ascii", "ein Café, 日本語 🙂", "ein café 日本語"),
    ("vowel_signs", "कुत्ता दौड़ा। หมา วิ่ง", "कुत्ता दौड़ा । หมา วิ่ง"),
    ("characters", "一 只 狗 跑 。", "一 只 狗 跑 。"),
    ("line_separators", "a\u2028b\x85c\rd", "a b c d"),
    ("nothing", "", ""),
    ("nothing_left", " . \n", ""),
)


class CaptionTokenizerTest(parameterized.TestCase):

  @parameterized.named_parameters(*_CAPTIONS)
  def test_by_python(self, caption, expected):
    words = caption_tokenizer.by_python(caption)
    self.assertEqual(words, expected)
    self.assertEqual(caption_tokenizer.by_python(words), words)

  @unittest.skipUnless(shutil.which("java"), "Java is not installed.")
  def test_by_ptb(self):
    captions = [caption for _, caption, _ in _CAPTIONS]
    tokenized = caption_tokenizer.tokenize([*captions, "lone \ud800 half"])
    self.assertEqual(tokenized.tokenizer, "ptb")
    self.assertEqual(tokenized.note, "")
    self.assertEqual(
        tokenized.captions[:-1], [expected for _, _, expected in _CAPTIONS]
    )

  @parameterized.parameters(
      ("यह वृत्त है।", "यह वृत्त है ।"),
      ("一只狗。", "一只狗 。"),
      ("¿Qué es?", "¿ qué es ?"),
      ("ውሻ።", "ውሻ ።"),
      ("un «chien»…", "un « chien » …"),
      ("a dog’s tail", "a dog 's tail"),
  )
  def test_separated_marks_give_the_same_words(self, raw, separated):
    kinds = ["python", *(["ptb"] if shutil.which("java") else [])]
    for kind in kinds:
      captions = caption_tokenizer.tokenize([raw, separated], kind).captions
      self.assertEqual(captions[0], captions[1], kind)

  def test_choice_of_the_tokenizer(self):
    fake_java.install(self, "sed 's/$/ tokenized ./'")
    for tokenizer, used, expected in (
        ("auto", "ptb", ["Two lines tokenized"]),
        ("ptb", "ptb", ["Two lines tokenized"]),
        ("python", "python", ["two lines"]),
    ):
      with self.subTest(tokenizer):
        self.assertEqual(
            caption_tokenizer.tokenize(["Two\nlines"], tokenizer),
            (expected, used, ""),
        )

  @parameterized.named_parameters(
      ("missing", None, "Java is not on the PATH"),
      ("dies", "exit 3", "0 of 1 captions, exit status 3"),
      ("swallows", "cat >/dev/null", "0 of 1 captions"),
  )
  def test_java_failure(self, script, message):
    fake_java.install(self, script)
    tokenized = caption_tokenizer.tokenize(["A dog."])
    self.assertEqual(tokenized.captions, ["a dog"])
    self.assertEqual(tokenized.tokenizer, "python")
    self.assertRegex(tokenized.note, f"in Python.*{message}")
    with self.assertRaisesRegex(coco_metrics.JavaError, message):
      caption_tokenizer.tokenize(["A dog."], "ptb")

  def test_unknown_tokenizer(self):
    with self.assertRaisesRegex(ValueError, "Got: 'x'"):
      caption_tokenizer.tokenize([], "x")


if __name__ == "__main__":
  absltest.main()
