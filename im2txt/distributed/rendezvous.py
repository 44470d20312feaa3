"""Lets the processes of a run wait for one another before TensorFlow starts.

TensorFlow waits forever, or dies, when a process is missing or has another
model. Here the chief listens on its own address, the others tell it what they
are about to do, and all continue together or end with the same sentence:

    {"task": "worker 1", "settings": {"batch_size": 32}}   to the chief
    {"error": ""}                                          to everybody
"""

from collections.abc import Iterable
from collections.abc import Mapping
import json
import socket
import time
from typing import Any

from im2txt.distributed import clusters

_RETRY_SECS = 0.5
# No process has so much to say; what else is sent to the port is ignored.
_MAX_BYTES = 1 << 20


class RendezvousError(ValueError):
  """The processes of a run can't work together."""


def meet(
    cluster: clusters.Cluster,
    settings: Mapping[str, Any],
    *,
    timeout_secs: float,
) -> None:
  """Waits for all processes of a run.

  Args:
    cluster: The processes.
    settings: What all must have in common, as JSON values by name.
    timeout_secs: How long to wait.

  Raises:
    RendezvousError: If a process does not come in time, or has other settings;
      in all processes.
  """
  deadline = time.monotonic() + timeout_secs
  if cluster.is_chief:
    _receive(cluster, settings, deadline)
  else:
    _report(cluster, settings, deadline)


def wait_for(addresses: Iterable[str], *, timeout_secs: float) -> None:
  """Waits until servers listen.

  Args:
    addresses: The addresses of the workers, such as "host0:2222".
    timeout_secs: How long to wait.

  Raises:
    RendezvousError: If one does not listen in time.
  """
  deadline = time.monotonic() + timeout_secs
  for address in addresses:
    while not is_listening(address):
      if time.monotonic() > deadline:
        raise RendezvousError(
            f"Nothing listened at {address} within {timeout_secs:g} seconds. Is"
            " that process running, and can it be reached?"
        )
      time.sleep(_RETRY_SECS)


def is_listening(address: str) -> bool:
  """Returns whether a server listens at an address such as "host0:2222"."""
  try:
    with socket.create_connection(_split(address), timeout=5):
      return True
  except OSError:
    return False


def _receive(cluster, settings, deadline: float) -> None:
  """The chief's part: hears the others, and tells them what came of it."""
  missing = dict(cluster.tasks)
  del missing[cluster.task]
  peers: list[socket.socket] = []
  error = ""
  try:
    with _listen(cluster.tasks[cluster.task], deadline) as server:
      while missing and not error:
        peer, message = _accept(server, deadline)
        if peer is None:
          error = f"{cluster.task} waited in vain for {', '.join(missing)}."
        elif missing.pop(str(message.get("task")), None):
          peers.append(peer)
          error = _difference(cluster.task, settings, message)
        else:
          peer.close()
    for peer in peers:
      peer.sendall(json.dumps({"error": error}).encode() + b"\n")
  finally:
    for peer in peers:
      peer.close()
  if error:
    raise RendezvousError(error)


def _accept(server: socket.socket, deadline: float):
  """Returns a connection and its message, or None after the deadline."""
  server.settimeout(max(0.01, deadline - time.monotonic()))
  try:
    peer, _ = server.accept()
  except TimeoutError:
    return None, {}
  try:
    peer.settimeout(5)
    message = json.loads(_read_line(peer))
    if isinstance(message["settings"], dict):
      return peer, message
  except (OSError, ValueError, TypeError, KeyError):  # From a stranger.
    pass
  return peer, {}


def _report(cluster, settings, deadline: float) -> None:
  """Reports to the chief and receives whether to continue."""
  address = cluster.tasks[cluster.chief]
  host_and_port = _split(address)  # A wrong one would be tried for long.
  message = json.dumps({"task": cluster.task, "settings": dict(settings)})
  while time.monotonic() < deadline:
    try:
      with socket.create_connection(host_and_port, timeout=5) as chief:
        chief.sendall(message.encode() + b"\n")
        # The chief keeps the time; it may have started later than this one.
        chief.settimeout(max(0.01, deadline - time.monotonic()) + 5)
        error = json.loads(_read_line(chief))["error"]
    # Not there yet, or not the chief yet.
    except (OSError, ValueError, TypeError, KeyError):
      time.sleep(_RETRY_SECS)
      continue
    if error:
      raise RendezvousError(error)
    return
  raise RendezvousError(
      f"{cluster.task} waited in vain for {cluster.chief} at {address}."
  )


def _listen(address: str, deadline: float) -> socket.socket:
  _, port = _split(address)
  while True:
    try:
      return socket.create_server(("", port))
    except OSError as error:  # An earlier run may be about to end.
      if time.monotonic() > deadline:
        raise RendezvousError(
            f"Port {port} of this machine can't be had: {error.strerror}."
        ) from error
      time.sleep(_RETRY_SECS)


def _read_line(connection: socket.socket) -> bytes:
  data = b""
  while not data.endswith(b"\n"):
    chunk = connection.recv(65536)
    if not chunk or len(data) > _MAX_BYTES:
      raise ConnectionError("The line does not end.")
    data += chunk
  return data


def _difference(task: str, settings, message) -> str:
  """Returns what another process has otherwise; empty if nothing."""
  theirs = message["settings"]
  ours = json.loads(json.dumps(dict(settings)))
  names = [
      name
      for name in sorted({*ours, *theirs})
      if ours.get(name) != theirs.get(name)
  ]
  if not names:
    return ""
  name = names[0]
  return (
      f"All processes must train alike, but {message['task']} has"
      f" {name}={theirs.get(name)!r} and {task} has {ours.get(name)!r}."
  )


def _split(address: str) -> tuple[str, int]:
  host, _, port = address.rpartition(":")
  try:
    return host.strip("[]"), int(port)
  except ValueError:
    raise RendezvousError(
        f"An address has the form host:port. Got: {address!r}."
    ) from None
