"""Errors of the management API, each with its HTTP status.

ApiError
+- InvalidFields      400   fields are invalid: `param` names the first
|  +- InvalidPlan
+- TenantNotFound     404
+- PlanNotFound       404   no such plan, or another owner's: both look the same
+- KeyNotFound        404   likewise
+- AmbiguousKey       400   several keys have that name
+- PlanNameConflict   409
+- VersionConflict    409   the plan was changed meanwhile
+- PlanInUse          409   the plan is somebody's default
+- ObjectNotFound     404   no such upstream, route or price
+- ObjectInUse        409   something refers to the object
+- PreconditionFailed 412   the object is not at the version of If-Match
+- KeyNotLive         409   the key is revoked, expired or replaced
+- ManagedObjectLocked 403  a configuration file says what the object is
"""

from typing import ClassVar


class ApiError(Exception):
    """An error with its HTTP status and the `code` and `param` of OpenAI's error object."""

    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidFields(ApiError):
    """An object with invalid fields.

    `problems` maps dotted field names to descriptions, in the order of the fields; it is never
    empty.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        param, text = next(iter(problems.items()))
        super().__init__(
            " ".join(f"{name}: {problem}" for name, problem in problems.items()) if param else text,
            param=param or None,
        )


class InvalidPlan(InvalidFields):
    """A plan with invalid fields."""


class TenantNotFound(ApiError):
    status = 404
    code = "tenant_not_found"


class PlanNotFound(ApiError):
    status = 404
    code = "plan_not_found"


class KeyNotFound(ApiError):
    status = 404
    code = "key_not_found"


class AmbiguousKey(ApiError):
    status = 400


class PlanNameConflict(ApiError):
    status = 409
    code = "plan_name_taken"


class VersionConflict(ApiError):
    status = 409
    code = "version_conflict"


class PlanInUse(ApiError):
    status = 409
    code = "plan_in_use"


class KeyNotLive(ApiError):
    status = 409
    code = "key_not_live"


class ManagedObjectLocked(ApiError):
    status = 403
    code = "managed_object"


class ObjectNotFound(ApiError):
    status = 404
    code = "object_not_found"


class ObjectInUse(ApiError):
    status = 409
    code = "object_in_use"


class PreconditionFailed(ApiError):
    status = 412
    code = "precondition_failed"
