"""A server that runs while a test asks it things."""

import threading
from contextlib import contextmanager

from shared.serve import Server


@contextmanager
def serving(page, routes, limits=None):
    with Server(page, routes, limits=limits) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
