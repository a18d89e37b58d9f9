"""``python -m shared.rf``, the same as the ``receptive-field`` command."""

import sys

from shared.rf.cli import main

sys.exit(main())
