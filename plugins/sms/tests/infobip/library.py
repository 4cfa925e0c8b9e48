"""Reads JSON lines of [model, value] and writes what Infobip's own library makes of each. Runs in an environment of its own.

Its dependencies are fixed to versions that exclude those of others.
"""

import importlib
import json
import re
import sys

for line in sys.stdin:
    model, value = json.loads(line)
    module = "_".join(re.findall("[A-Z][a-z]+", model)).lower()
    kind = getattr(importlib.import_module(f"infobip_api_client.models.{module}"), model)
    json.dump(kind.from_dict(value).to_dict(), sys.stdout, default=str)
    sys.stdout.write("\n")
