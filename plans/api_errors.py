"""Why a management call is refused. Each error knows its own answer.

Refusal
+- InvalidPlan        400   a field is wrong: `param` names it
+- TenantUnknown      404
+- PlanUnknown        404   no such plan, or another owner's: the two look the same
+- KeyUnknown         404   likewise
+- NameTaken          409
+- VersionConflict    409   somebody else changed the plan meanwhile
"""

from typing import ClassVar


class ApiError(Exception):
    """A refusal with its HTTP status and the `code` and `param` of OpenAI's error object."""

    status: ClassVar[int] = 400
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidPlan(ApiError):
    """`problems`: dotted field name to what is wrong with it, in the order of the fields;
    never empty."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        param, text = next(iter(problems.items()))
        super().__init__(
            " ".join(f"{name}: {problem}" for name, problem in problems.items()) if param else text,
            param=param or None,
        )


class TenantNotFound(ApiError):
    status = 404
    code = "tenant_not_found"


class PlanNotFound(ApiError):
    status = 404
    code = "plan_not_found"


class KeyNotFound(ApiError):
    status = 404
    code = "key_not_found"


class PlanNameConflict(ApiError):
    status = 409
    code = "plan_name_taken"


class VersionConflict(ApiError):
    status = 409
    code = "version_conflict"
