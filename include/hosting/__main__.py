"""Runs the hosted SFTP service, or asks whether it is well (``--check``)."""

from __future__ import annotations

import logging
import sys

from include.errors import ConfigurationError
from include.hosting.health import troubles
from include.hosting.service import Service
from include.hosting.settings import read_settings


def main() -> int:
    """The exit code: 0 after an orderly end, or if the check found nothing."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings, check = read_settings(sys.argv[1:])
        if not check:
            return Service(settings).run()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The service cannot go on: {error}.\n")
        return 1
    found = troubles(settings)
    sys.stderr.write("".join(f"{trouble}\n" for trouble in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
