"""What the sign-in pages have in common: how they are shown, and how every fault becomes a page."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import CallboardError, shielded
from include.settings import load_mail_settings
from include.sign_in import records
from include.sign_in.refusals import NOT_AVAILABLE, UNFORESEEN, SignInRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

TEMPLATES = str(Path(__file__).parent / "templates")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Show one of the pages in ``templates/``."""
    from flask import make_response, render_template

    shown = make_response(render_template(template, **values), status)
    shown.headers.update(_HEADERS)
    return shown


def go(address: str) -> Response:
    """Send the browser elsewhere; whoever is signed in takes Airflow's token along."""
    from airflow.providers.fab.www.views import redirect

    sent: Response = redirect(address)  # type: ignore[no-untyped-call]
    return sent


def safe(address: str | None) -> str:
    """The address, if it is one of this installation; else Airflow's own page."""
    from airflow.providers.fab.www.views import get_safe_url

    try:
        ours: str = get_safe_url(address)  # type: ignore[no-untyped-call]
    except ValueError:  # half an IPv6 address
        ours = get_safe_url("")  # type: ignore[no-untyped-call]
    return ours


def answered(view: Callable[..., Response]) -> Callable[..., Response]:
    """Make a page of every refusal and of every fault, and write it down. Nobody at a browser ever sees a traceback."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        from werkzeug.exceptions import HTTPException

        try:
            return view(*args, **kwargs)
        except HTTPException:  # a form that is too large, an expired CSRF token: Flask has pages for them
            raise
        except SignInRefused as refused:
            return refusal(refused)
        except CallboardError as error:
            return refusal(SignInRefused(NOT_AVAILABLE, type(error).__name__))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody is let in
            records.log.error("%s", shielded(error))
            return refusal(SignInRefused(UNFORESEEN, type(error).__name__))

    return answer


def refusal(refused: SignInRefused) -> Response:
    """Tell somebody that they were not let in, why, and whom to ask."""
    records.refused(refused)
    whom = load_mail_settings().administrators if refused.username and refused.provider != records.LOCAL else ()
    return page("callboard_refused.html", refused.reason.status, refused=refused, administrators=whom)
