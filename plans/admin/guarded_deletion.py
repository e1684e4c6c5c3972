"""Deletion pages that say what still refers to a row, however late it began to."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import ProtectedError, QuerySet, RestrictedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from plans import services
from plans.deletion import describe_holders


class GuardedDeletionMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuse to delete a row that others refer to; goes before ModelAdmin.

    Django looks before it asks and before it deletes; what begins to refer to the row after that
    is found under the configuration's lock.
    """

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except (ProtectedError, RestrictedError) as error:
            self._tell_holders(request, error)
            return HttpResponseRedirect(self._build_url("change", object_id))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            # Or the log would say that they were deleted.
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except (ProtectedError, RestrictedError) as error:
            self._tell_holders(request, error)
            return HttpResponseRedirect(self._build_url("changelist"))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.lock_configuration()  # nobody begins to refer to it from here on
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        services.lock_configuration()
        super().delete_queryset(request, queryset)

    def _build_url(self, page: str, *names: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=names)

    def _tell_holders(self, request: HttpRequest, error: ProtectedError | RestrictedError) -> None:
        self.message_user(
            request, f"Nothing was deleted. {describe_holders(error)}", messages.ERROR
        )
