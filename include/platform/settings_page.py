"""docs/deploy/settings.md, written from :mod:`include.platform.known_settings`."""

from __future__ import annotations

from include.platform.known_settings import KEY_PAIRS, SETTINGS

_HEAD = """\
# Settings

Written by `make docs` from `include/platform/known_settings.py`; change that, not this page.

One set for `make run`, containers and pods, read from the environment. `make run` sets by *itself* what it decides, and
takes the rest from whoever starts it (*you*). In containers the image's entrypoint
(`python -m include.platform.with_settings`) reads them for every program:

- Each `X` may be given as `X_FILE`, the path of a file with its value; Airflow's connections (`AIRFLOW_CONN_…`) too.
- Secrets may lie in one folder, `CALLBOARD_SECRETS`, a file each, named like the secret in lower case
  (`fernet_key`). `python -m include.platform.secrets_folder DIR` makes what is missing there. A service is shown those
  that it needs, and no others.
- An address of a database or of the broker that has no password gets the one of its secret.
- Airflow's own variables (`AIRFLOW__SECTION__KEY`) are derived from these. One that is set already stays as it is.
- An `airflow.cfg` in `AIRFLOW_HOME`, as Airflow's Helm chart puts it there, is read in place of `config/airflow.cfg`;
  what ours says and it does not comes as variables.
"""
_FOOT = f"""\
Beside the secrets the folder holds the key pairs of the sandbox's SFTP service, each with its public half as `.pub`:
{", ".join(f"`{name}`" for name in KEY_PAIRS)}.
"""


def settings_page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, settings in SETTINGS.items():
        rows = [
            f"| `{each.name}` | {each.meaning}{' **(secret)**' if each.secret else ''} | {each.default or 'none'} "
            f"| {each.make_run} |"
            for each in settings
        ]
        head = [f"## {title}\n", "| variable | meaning | default | `make run` |", "|---|---|---|---|"]
        parts.append("\n".join([*head, *rows]) + "\n")
    return "\n".join([*parts, _FOOT])
