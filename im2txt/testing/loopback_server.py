"""Serves an ASGI application on the loopback address, for tests."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading
import time

import uvicorn

from im2txt.serving import server


@contextlib.contextmanager
def serve(application: Callable) -> Iterator[str]:
  """Serves in a thread for the duration of the context.

  Args:
    application: The ASGI application.

  Yields:
    The server's URL.
  """
  bound = server.bind("127.0.0.1", 0)
  config = uvicorn.Config(
      application, lifespan="on", log_config=None, access_log=False, ws="none"
  )
  running = uvicorn.Server(config)
  thread = threading.Thread(target=running.run, args=([bound],))
  thread.start()
  try:
    while not running.started and thread.is_alive():
      time.sleep(0.01)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
  finally:
    running.should_exit = True
    thread.join()
