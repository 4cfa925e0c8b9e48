"""``python -m fernamt``."""

import sys

from fernamt.cli import main

sys.exit(main())
