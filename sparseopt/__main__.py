"""The command line without its script: `python -m sparseopt`."""

import sys

from sparseopt.cli import main

sys.exit(main())
