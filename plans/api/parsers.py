"""Strict parser of JSON bodies: limited size and depth, UTF-8, no NaN."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BODY_BYTES = 64 * 1024


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"The body may have {MAX_BODY_BYTES} bytes at most."


class StrictJSONParser(BaseParser):
    """JSON parser with a size limit that rejects NaN and infinity.

    Raises BodyTooLarge or ParseError.
    """

    # REST framework's own parser reads a body of any size and trusts the charset it names.
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            return json.loads(body, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            raise ParseError("The body is not valid JSON.") from None


def _reject_constant(constant: str) -> NoReturn:
    # RFC 8259 section 6: Infinity and NaN are not permitted.
    raise ValueError(constant)
