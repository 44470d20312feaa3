"""Tests of the metrics."""

from absl.testing import absltest

from im2txt.serving import metrics


class MetricsTest(absltest.TestCase):

  def setUp(self):
    super().setUp()
    self.metrics = metrics.Metrics()

  def _figures(self):
    lines = self.metrics.page().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line[0] != "#")
    return {name: float(value) for name, value in pairs}

  def test_requests(self):
    self.metrics.request_began()
    self.metrics.request_began()
    self.metrics.request_ended("/v1/captions", 200, 0.02)
    figures = self._figures()
    self.assertEqual(figures["im2txt_requests_in_progress"], 1)
    labels = 'path="/v1/captions"'
    self.assertEqual(
        figures[f'im2txt_requests_total{{{labels},status="200"}}'], 1
    )
    name = "im2txt_request_seconds_bucket"
    self.assertEqual(figures[f'{name}{{le="0.01",{labels}}}'], 0)
    self.assertEqual(figures[f'{name}{{le="0.03",{labels}}}'], 1)

  def test_images_and_batches(self):
    self.metrics.images_answered(captioned=3, refused=1)
    self.metrics.batch_done(3, 0.5)
    figures = self._figures()
    self.assertEqual(figures['im2txt_images_total{outcome="captioned"}'], 3)
    self.assertEqual(figures['im2txt_images_total{outcome="refused"}'], 1)
    self.assertEqual(figures["im2txt_batch_size_sum"], 3)
    self.assertEqual(figures["im2txt_batch_seconds_sum"], 0.5)

  def test_waiting_is_asked_for(self):
    waiting = [4]
    self.metrics.watch_waiting(lambda: waiting[0])
    self.assertEqual(self._figures()["im2txt_images_waiting"], 4)
    waiting[0] = 5
    self.assertEqual(self._figures()["im2txt_images_waiting"], 5)

  def test_servers_are_apart(self):
    metrics.Metrics().batch_done(3, 0.5)
    self.assertEqual(self._figures()["im2txt_batch_size_count"], 0)

  def test_memory_is_there(self):
    self.assertGreater(self._figures()["process_resident_memory_bytes"], 1e6)


if __name__ == "__main__":
  absltest.main()
