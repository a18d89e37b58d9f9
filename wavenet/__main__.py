"""``python -m wavenet``, the same as the ``wavenet`` command."""

import sys

from wavenet.cli import main

sys.exit(main())
