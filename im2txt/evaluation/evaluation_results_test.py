"""Tests of the table of checkpoints."""

from absl.testing import absltest

from im2txt.evaluation import comparison
from im2txt.evaluation import evaluation_results
from im2txt.evaluation import ranking
from im2txt.testing import fake_java


class EvaluationResultsTest(absltest.TestCase):

  def test_perplexities(self):
    table = evaluation_results.table(
        [
            evaluation_results.Evaluation("model.ckpt-5", 5, 12.34567),
            evaluation_results.Evaluation("model.ckpt-50", 50, 9.5),
        ]
    )
    self.assertEqual(
        "| checkpoint    | step | perplexity |\n"
        "| ------------- | ---: | ---------: |\n"
        "| model.ckpt-5  |    5 |     12.346 |\n"
        "| model.ckpt-50 |   50 |      9.500 |",
        table,
    )

  def test_captions(self):
    fake_java.install(self, None)
    references = {1: ["a red sky"], 2: ["a blue sea"]}
    evaluations = []
    for step, said in (5, "a dog"), (50, "a red sky"):
      name = f"model.ckpt-{step}"
      scores = comparison.compare(
          references, {name: {1: [said], 2: ["a blue sea"]}}
      )
      evaluations.append(evaluation_results.Evaluation(name, step, 2.0, scores))
    heading, _, first, second, _, *notes = evaluation_results.table(
        evaluations
    ).splitlines()
    self.assertRegex(
        heading, r"^\| checkpoint +\| step \| perplexity \| images \| Bleu_1"
    )
    columns = [cell.strip() for cell in heading.split("|")]
    cider = columns.index("CIDEr")
    self.assertLess(first.split("|")[cider], second.split("|")[cider])
    self.assertEqual(
        "1.000", second.split("|")[columns.index("Bleu_1")].strip()
    )
    self.assertIn("Tokenizer: python.", notes)
    # Both lack METEOR for the same reason, which is told once.
    self.assertLen([note for note in notes if "METEOR" in note], 1)
    self.assertIn("CIDEr", evaluations[0].metrics())

  def test_rankings(self):
    plain = evaluation_results.Evaluation("model.ckpt-5", 5, 2.0)
    self.assertEqual("", evaluation_results.ranking_table([plain]))
    ranks = ranking.Ranks({1: 0.5, 5: 1.0}, 1.5)
    ranked = plain._replace(ranks=ranking.Ranking(2, 4, {"to image": ranks}))
    self.assertEqual(
        "\n| checkpoint   |  ranking |   R@1 |    R@5 | median rank |\n"
        "| ------------ | -------: | ----: | -----: | ----------: |\n"
        "| model.ckpt-5 | to image | 50.0% | 100.0% |         1.5 |\n"
        "\nOf 2 images and 4 captions.\n",
        evaluation_results.ranking_table([ranked]),
    )


if __name__ == "__main__":
  absltest.main()
