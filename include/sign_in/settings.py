"""The settings of signing in, by the names that this room uses.

They lie among the mappings, because a run reads them too: the Dag `user_authentication` keeps the trust fresh.
"""

from __future__ import annotations

from include.mappings.sign_in import (
    AIRFLOW_ROLES,
    Match,
    OidcProvider,
    SamlAttributes,
    SamlProvider,
    SignIn,
    is_loopback,
)
from include.mappings.sign_in_file import Lists, load_lists, load_sign_in, sign_in_file

__all__ = [
    "AIRFLOW_ROLES",
    "Lists",
    "Match",
    "OidcProvider",
    "SamlAttributes",
    "SamlProvider",
    "SignIn",
    "is_loopback",
    "load_lists",
    "load_sign_in",
    "sign_in_file",
]
