"""Tests of tokenizer."""

import random

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.data import tokenizer

# Plain ones, contractions, and what NLTK splits or not according to its place.
_WORDS = """
a dog 3 us st can not cannot gimme gonna gotta lemme wanna d'ye more'n 'tis
. .. , - -- ' 's ( ) ! x. cannot. 5.
"""


class TokenizerTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("final_stop", "A dog runs.", "a dog runs ."),
      ("final_stop_apart", "A dog runs .", "a dog runs ."),
      ("no_stop", "  A  dog\truns\n", "a dog runs"),
      ("spaces_after_the_stop", "A dog runs. \n", "a dog runs ."),
      ("two_stops", "A dog runs..", "a dog runs .."),
      ("ellipsis", "A dog... runs", "a dog ... runs"),
      ("empty", "", ""),
      ("only_spaces", " \n", ""),
      ("only_a_stop", ".", "."),
      (
          "comma",
          "A dog, a cat and 1,000 birds",
          "a dog , a cat and 1,000 birds",
      ),
      ("possessive", "The man's dog", "the man 's dog"),
      ("negation", "It isn't here", "it is n't here"),
      ("contraction", "You cannot go", "you can not go"),
      ("contraction_at_the_end", "He is gonna.", "he is gon na ."),
      ("quotes", 'A sign "stop" here', "a sign `` stop '' here"),
      ("hyphen", "A black-and-white dog", "a black-and-white dog"),
      ("dashes", "A dog -- black", "a dog -- black"),
      ("brackets", "A dog (black)", "a dog ( black )"),
      ("question", "A dog? Yes!", "a dog ? yes !"),
      ("any_script", "Собака И CAFÉ. 犬", "собака и café . 犬"),
      ("number", "At 10:30 for $5.50", "at 10:30 for $ 5.50"),
  )
  def test_words(self, caption, words):
    self.assertEqual(tokenizer.tokenize(caption), words.split())

  @parameterized.named_parameters(
      ("hindi", "यह वृत्त है। लाल॥", "यह वृत्त है । लाल ॥"),
      ("chinese", "一只狗。两只猫！（黑）", "一只狗 。 两只猫 ！ （ 黑 ）"),
      ("arabic", "هل هذا كلب؟ نعم، كلب", "هل هذا كلب ؟ نعم ، كلب"),
      ("arabic_number", "٣٫٥ و ١٬٠٠٠", "٣٫٥ و ١٬٠٠٠"),
      ("spanish", "¿Qué es? ¡Un perro!", "¿ qué es ? ¡ un perro !"),
      ("catalan", "un col·legi", "un col·legi"),
      ("hebrew", "צה״ל וכו׳", "צה״ל וכו׳"),
      ("hebrew_quotes", "״כלב״", "״ כלב ״"),
      ("armenian", "Ո՞վ է։", "ո՞վ է ։"),
      ("amharic", "ውሻ። ድመት፣ ላም", "ውሻ ። ድመት ፣ ላም"),
      ("burmese", "ခွေး။", "ခွေး ။"),
      ("khmer", "ឆ្កែ។", "ឆ្កែ ។"),
      ("tibetan", "ཁྱི་ཞིག།", "ཁྱི་ཞིག །"),
      ("guillemets", "un «chien» ‹noir›", "un « chien » ‹ noir ›"),
      ("ellipsis_sign", "Wait… what", "wait … what"),
      ("several", "什么？！", "什么 ？ ！"),
      ("accents", "un café, l'été.", "un café , l'été ."),
  )
  def test_marks_of_all_alphabets(self, caption, words):
    self.assertEqual(tokenizer.tokenize(caption), words.split())

  @parameterized.named_parameters(
      (
          "sentences",
          "A surfer on a wave. It is big.",
          "a surfer on a wave . it",
      ),
      ("bracket", "A dog (black.) runs", "a dog ( black . ) runs"),
      ("abbreviation", "On Main St. in town", "on main st. in town"),
      ("two_letters", "A U.S. Airways jet", "a u.s. airways jet"),
      ("initial", "A letter s. on it", "a letter s. on it"),
      ("ordinal", "Number 5. the last", "number 5. the last"),
      ("at_the_end", "On Main St.", "on main st ."),
  )
  def test_stop_inside_a_caption(self, caption, words):
    self.assertEqual(
        tokenizer.tokenize(caption)[: len(words.split())], words.split()
    )

  def test_plain_captions_are_split_as_nltk_splits_them(self):
    rng = random.Random(0)
    words = _WORDS.split()
    for _ in range(2000):
      separators = rng.choice([(" ",), (" ", ""), (" ", "  ", "\n")])
      text = "".join(
          rng.choice(words) + rng.choice(separators)
          for _ in range(rng.randrange(6))
      )
      self.assertEqual(
          tokenizer.tokenize(text), tokenizer.nltk_words(text), msg=repr(text)
      )

  @parameterized.parameters(
      (" Ein  Hund\tläuft. ", ["Ein", "Hund", "läuft."]),
      ("犬\u3000が\u00a0走る\n", ["犬", "が", "走る"]),
      ("", []),
  )
  def test_at_spaces(self, caption, words):
    self.assertEqual(tokenizer.TOKENIZERS["whitespace"](caption), words)

  @parameterized.named_parameters(
      ("chinese", "一只 狗。", ["一", "只", "狗", "。"]),
      ("thai", "หมาวิ่ง", ["ห", "ม", "า", "วิ่", "ง"]),
      ("hindi", "कुत्ता", ["कु", "त्", "ता"]),
      ("a_mark_alone", "\u0301a \u0301", ["\u0301", "a", "\u0301"]),
      ("family", "👩\u200d👧a", ["👩\u200d👧", "a"]),
      ("nothing", " \n", []),
  )
  def test_into_characters(self, caption, words):
    self.assertEqual(tokenizer.TOKENIZERS["characters"](caption), words)


if __name__ == "__main__":
  absltest.main()
