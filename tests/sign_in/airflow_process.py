"""The process of :mod:`tests.sign_in.airflow`: makes Airflow's database and accounts, then serves its API and UI.

Its own environment says where. Trust is looked up once a second instead of every half a minute, so that no test waits.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    from include.platform import airflow_database

    airflow_database.main()
    for name, password in [words.split("=") for words in sys.argv[2:]]:
        airflow_database.set_administrator(name, password)

    import uvicorn
    from airflow.api_fastapi.app import create_app

    from include.sign_in import trust

    trust.FRESH_SECONDS = 1.0
    host, _, port = sys.argv[1].partition(":")
    uvicorn.run(create_app(apps="core"), host=host, port=int(port), log_level="warning", proxy_headers=False)


if __name__ == "__main__":
    os.umask(0o077)
    main()
