"""Parameters and headers that calls on all kinds of objects share."""

from dataclasses import dataclass
from typing import Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from plans.api_errors import ApiError, PreconditionFailed
from plans.untrusted_text.whole_numbers import parse_positive

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 1_000
MAX_CURSOR_LENGTH: Final = 300

DRY_RUN_PARAMETER: Final = OpenApiParameter(
    "dry_run",
    bool,
    OpenApiParameter.QUERY,
    description="true: answer the change that it would make, and make none.",
)
IF_MATCH_PARAMETER: Final = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that was read: 412 if the object was changed since. *: it must exist.",
)
IF_NONE_MATCH_PARAMETER: Final = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="*: only make a new object; 412 if there is one of that name.",
)
PAGE_PARAMETERS: Final = [
    OpenApiParameter(
        "limit",
        int,
        OpenApiParameter.QUERY,
        description=f"At most so many, 1 to {MAX_PAGE_SIZE}; default {DEFAULT_PAGE_SIZE}.",
    ),
    OpenApiParameter(
        "after", str, OpenApiParameter.QUERY, description="The `next` of the page before."
    ),
]


class BadParameter(ApiError):
    """A query parameter is not what is accepted."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Versions that a change depends on, as its headers say; "" for none."""

    if_match: str = ""
    if_none_match: str = ""

    def check(self, etag: str | None) -> None:
        """Check the present version; None: there is no object. Raises PreconditionFailed."""
        if self.if_none_match and etag is not None and _names_version(self.if_none_match, etag):
            raise PreconditionFailed("There is one of that name already.", param="If-None-Match")
        if self.if_match and (etag is None or not _names_version(self.if_match, etag)):
            now = f"it is at {etag} now" if etag else "there is none"
            raise PreconditionFailed(
                f"It is not what was read: {now}. Read it again.", param="If-Match"
            )


def read_conditions(request: Request) -> Conditions:
    """Return the conditions of a request (RFC 9110, section 13.1)."""
    return Conditions(
        request.META.get("HTTP_IF_MATCH", ""), request.META.get("HTTP_IF_NONE_MATCH", "")
    )


def _names_version(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in {
        each.strip().removeprefix("W/") for each in header.split(",")
    }


def read_dry_run(request: Request) -> bool:
    """Return whether nothing is to be changed. Raises BadParameter."""
    return bool(read_flag(request, "dry_run"))


def read_flag(request: Request, name: str) -> bool | None:
    """Return a parameter that is true or false, None if absent. Raises BadParameter."""
    given = request.query_params.get(name)
    if given not in {None, "true", "false"}:
        raise BadParameter("Must be true or false.", param=name)
    return None if given is None else given == "true"


def read_page(request: Request) -> tuple[int, str]:
    """Return how many objects are wanted, and after which one. Raises BadParameter."""
    given = request.query_params.get("limit", str(DEFAULT_PAGE_SIZE))
    limit = parse_positive(given)
    if limit is None or limit > MAX_PAGE_SIZE:
        raise BadParameter(f"Must be a number from 1 to {MAX_PAGE_SIZE}.", param="limit")
    after: str = request.query_params.get("after", "")
    if len(after) > MAX_CURSOR_LENGTH or not after.isprintable():
        raise BadParameter("Must be the `next` of another page.", param="after")
    return limit, after
