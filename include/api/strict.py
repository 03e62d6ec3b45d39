"""Routes that never overlook a parameter: what they do not know, or are given twice, is an error.

A misspelt filter that is ignored would answer far more than was asked for, and nobody would notice. What such a route
does in a thread, it does in one of the API's own (:mod:`include.api.threads`).
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, get_args, get_origin

from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_dependant, get_parameterless_sub_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from include.api.problems import wrong_parameters
from include.api.threads import reading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi.dependencies.models import Dependant

_SEVERAL = (list, set, frozenset, tuple)


class StrictRoute(APIRoute):
    """Refuses query parameters that neither the route nor what it depends on declares, and repeated ones.

    A parameter whose type is a list, set or tuple may be repeated. Who may not come in at all is told that first. Use
    it as ``APIRouter(route_class=StrictRoute)``.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else reading(endpoint), **options)
        check = Depends(_only(_query_parameters(self.dependant)))
        # As the last of all dependencies: access was asked about before.
        self.dependant.dependencies.append(get_parameterless_sub_dependant(depends=check, path=self.path_format))


def _query_parameters(dependant: Dependant) -> dict[str, bool]:
    """Each query parameter's name, and whether it may be repeated."""
    known: dict[str, bool] = {}
    for field in get_flat_dependant(dependant, skip_repeats=True).query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            known |= {
                info.alias or name: _takes_several(info.annotation) for name, info in annotation.model_fields.items()
            }
        else:
            known[field.alias] = _takes_several(annotation)
    return known


def _takes_several(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return origin in _SEVERAL or (
        origin not in (dict, type) and any(_takes_several(one) for one in get_args(annotation))
    )


def _only(known: dict[str, bool]) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        asked = [name for name, _ in request.query_params.multi_items()]
        unknown = f"is not known here; known are: {', '.join(sorted(known)) or 'none'}"
        wrong = [
            (name[:100], unknown if name not in known else "is given more than once")
            for name in dict.fromkeys(asked)
            if name not in known or (asked.count(name) > 1 and not known[name])
        ]
        if wrong:
            raise wrong_parameters(wrong)

    return check
