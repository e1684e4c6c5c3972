"""Admin forms of plans, tenants, keys and prices.

Plans are validated by `plans.validation`, as over the API.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Final

from django import forms
from django.db.models import Model, QuerySet

from plans import capabilities, selectors, services, validation
from plans.api_errors import InvalidPlan
from plans.fields import (
    FIELD_DEPENDENCIES,
    FIELD_HELP_TEXTS,
    FIELD_LABELS,
    FORM_FIELD_BY_PARAM,
    PRICE_HELP_TEXTS,
    SECTION_FIELDS,
    SETTINGS_BY_COLUMN,
    SWITCH_FIELDS,
)
from plans.forms.edit_conflicts import EditConflictForm
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from plans.pricing import BASE_RATE_NAMES
from plans.snapshot import ALL_ROUTES, find_serving_route, is_route_granted
from plans.strictness import OperatingPoint, get_operating_points

SHOWN_SET: Final = "fow-cache"  # whose figures stand beside a threshold's name


def find_only_tenant(form: "forms.ModelForm[Any]") -> Tenant | None:
    """Return the one tenant a row of this form can belong to; None if there is a choice.

    The platform counts as a choice.
    """
    field = form.fields.get("tenant")
    choices = (
        field.queryset if isinstance(field, forms.ModelChoiceField) and field.required else None
    )
    found = list(choices[:2]) if choices is not None else []
    return found[0] if len(found) == 1 else None


class PlanForm(EditConflictForm):
    """The form of a plan; `clean` converts its flat fields to the API's JSON and validates that."""

    force = forms.BooleanField(
        required=False,
        label="Last message though chats use this plan",
        help_text=(
            "Needed once, to choose the last message alone for a plan whose requests of the last "
            "7 days were turns of longer chats."
        ),
    )

    class Meta:
        model = Plan
        fields = (
            "name",
            "tenant",
            "mode",
            *SWITCH_FIELDS,
            *SECTION_FIELDS["compression"],
            *SECTION_FIELDS["cache"],
            *SECTION_FIELDS[""],
        )
        labels = FIELD_LABELS
        help_texts = FIELD_HELP_TEXTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "focus" in self.fields:
            # If it is missing or unchanged, validation chooses what fits the engine.
            self.fields["focus"].required = False
        for name in SECTION_FIELDS[""]:
            if name in self.fields:
                self.fields[name].required = False  # empty: the default
        system = capabilities.get_capabilities()
        engines = [(engine.name, engine.title) for engine in system.list_compression_engines()]
        self._set_choice_field(
            "compression_engine",
            [("", "None: send every history whole"), *engines],
        )
        self._set_choice_field(
            "language",
            [(language, language.capitalize()) for language in system.list_languages()],
        )
        backends = [
            (engine.name, engine.title if engine.available else f"{engine.title} (not available)")
            for engine in system.list_cache_engines()
        ]
        self._set_choice_field(
            "backend",
            [("", "None: identical requests only"), *backends],
        )
        routes = capabilities.get_tenant_capabilities(self._get_owner(), system).list_routes()
        self._set_choice_field(
            "judge_model",
            [("", "Rules: nobody is paid"), *((route, route) for route in routes)],
        )
        self._set_choice_field(
            "strictness",
            [("", "By number: the similarity threshold below"), *_list_strictness_choices()],
        )
        for name, needs in FIELD_DEPENDENCIES.items():
            if name in self.fields:
                self.fields[name].widget.attrs["data-needs"] = needs

    def _get_owner(self) -> Tenant | None:
        """Return the plan's owner, or the only one that can be chosen."""
        tenant: Tenant | None = self.instance.tenant or find_only_tenant(self)
        return tenant

    def _set_choice_field(self, name: str, choices: list[tuple[str, str]]) -> None:
        """Offer the running system's values for a text column."""
        if name not in self.fields:
            return
        # A saved value that is no longer available stays in the list.
        saved = getattr(self.instance, name)
        if saved and saved not in dict(choices):
            choices = [*choices, (saved, f"{saved} (not available)")]
        self.fields[name] = forms.TypedChoiceField(
            choices=choices,
            required=name == "language",
            empty_value=None,
            label=FIELD_LABELS[name],
            help_text=FIELD_HELP_TEXTS[name],
            initial=saved,
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for name in SECTION_FIELDS[""]:
            if name in values and values[name] is None:
                values[name] = SETTINGS_BY_COLUMN[name].default
        base = services.build_draft(self.instance) if self.instance.pk else None
        try:
            system = capabilities.get_tenant_capabilities(
                values.get("tenant", self.instance.tenant)
            )
            draft = validation.validate_plan(
                self._build_plan_body(values), capabilities=system, base=base
            )
            values["focus"] = (draft.compression or self.instance).focus
        except InvalidPlan as refusal:
            for param, problem in refusal.problems.items():
                field = FORM_FIELD_BY_PARAM.get(param, param.partition(".")[2] or param)
                if field not in self.errors:  # keep the form's own error
                    self.add_error(field if field in self.fields else None, problem)
        twin = Plan.objects.filter(tenant=values.get("tenant"), name=values.get("name")).exclude(
            pk=self.instance.pk
        )
        if "name" in values and "tenant" in values and twin.exists():
            self.add_error("name", "This owner has a plan of that name already.")
        self._refuse_taking_a_default_away(values)
        return values

    def _refuse_taking_a_default_away(self, values: dict[str, Any]) -> None:
        """Reject another owner for a plan that others could then no longer have as default."""
        owner = values.get("tenant")
        if self.instance.pk is None or owner is None or owner.pk == self.instance.tenant_id:
            return
        if holders := selectors.list_default_holders(self.instance):
            self.add_error("tenant", f"It is the default plan of {', '.join(holders)}.")

    def _build_plan_body(self, values: dict[str, Any]) -> dict[str, Any]:
        """Build the API's JSON from the form's values; invalid fields are left out."""
        body: dict[str, Any] = {"plan_name": values.get("name"), "mode": values.get("mode")}
        halves = {
            half: {name: values[name] for name in names if name in values}
            for half, names in SECTION_FIELDS.items()
        }
        body |= halves[""]
        if "focus" not in self.changed_data or not values.get("focus"):
            halves["compression"].pop("focus", None)
        engine = values.get("compression_engine")
        body["compression"] = halves["compression"] | {"engine": engine} if engine else None
        body["cache"] = halves["cache"] if values.get("cache_enabled") else None
        return body


def _list_strictness_choices() -> list[tuple[str, str]]:
    """List each name of a threshold with what was measured at it."""
    labels = SETTINGS_BY_COLUMN["strictness"].choices
    return [
        (point.name, f"{labels[point.name].partition(':')[0]}: {_describe_figures(point)}")
        for point in get_operating_points().points.values()
    ]


def _describe_figures(point: OperatingPoint) -> str:
    counts = point.sets[SHOWN_SET]
    return (
        f"finds {counts.recall:.0%} of hard rewordings, "
        f"{counts.wrong_share:.1%} of what it serves is wrong"
    )


class DefaultPlanField(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """A choice of a default plan; each plan stands with its owner."""

    def __init__(self, **options: Any) -> None:
        super().__init__(queryset=Plan.objects.none(), required=False, **options)

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.tenant or 'platform'})"


class LinesField(forms.CharField):
    """A list of texts, one per line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [
            line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()
        ]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


def _get_help_text(model: type[Model], column: str) -> str:
    field: Any = model._meta.get_field(column)
    return str(field.help_text)


def _offer_default_plans(form: "forms.ModelForm[Any]", plans: QuerySet[Plan]) -> None:
    """Let the form choose among these plans, if it has the field."""
    field = form.fields.get("default_plan")
    if isinstance(field, DefaultPlanField):
        field.queryset = plans


class TenantForm(EditConflictForm):
    """The form of a tenant, for the platform's users only: they decide which routes it can use."""

    routes = LinesField(
        required=False,
        help_text=(
            "Names of the routes that keys of this tenant may use, one a line, such as "
            "gpt-4o-mini; * for all, also those made later. Empty: none."
        ),
    )

    default_plan = DefaultPlanField(help_text=_get_help_text(Tenant, "default_plan"))

    class Meta:
        model = Tenant
        fields = ("slug", "name", "max_entries", "max_bytes", "routes", "default_plan")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.instance if self.instance.pk else None
        _offer_default_plans(self, selectors.list_usable_plans(owner))

    def clean_routes(self) -> list[str]:
        names: list[str] = self.cleaned_data["routes"]
        if ALL_ROUTES in names:
            return [ALL_ROUTES]
        accepted = capabilities.get_capabilities().list_routes()
        # A misspelt name would silently grant nothing. One whose route was deleted is no reason to
        # reject another change.
        strange = sorted(
            name
            for name in set(names) - set(accepted) - set(self.instance.routes)
            if not find_serving_route(accepted, name)
        )
        if strange:
            raise forms.ValidationError(
                _describe_unknown_routes(strange, accepted, f"{ALL_ROUTES} means all.")
            )
        return names


def _describe_unknown_routes(strange: Collection[str], accepted: Collection[str], hint: str) -> str:
    shown = f"Accepted are: {', '.join(accepted)}." if accepted else "There is none yet."
    return f"No such route: {', '.join(strange)}. {shown} {hint}"


class VirtualKeyForm(EditConflictForm):
    routes = LinesField(
        required=False,
        help_text=(
            "Names of the routes this key may use, one a line, such as gpt-4o-mini. Empty: all "
            "that its tenant may use."
        ),
    )

    default_plan = DefaultPlanField(help_text=_get_help_text(VirtualKey, "default_plan"))

    class Meta:
        model = VirtualKey
        fields = ("name", "tenant", "routes", "default_plan", "expires_at", "paused")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django gives a date with a time two inputs and one label, which names neither.
        expiry = self.fields.get("expires_at")  # absent where it may only be read
        for part, widget in zip(
            ("date", "time"), getattr(getattr(expiry, "widget", None), "widgets", ()), strict=False
        ):
            widget.attrs["aria-label"] = f"Expires at, {part} (UTC)"
        owner = self._get_owner()
        # The platform may still choose the tenant: `VirtualKey.clean` compares both.
        every = Plan.objects.select_related("tenant")
        _offer_default_plans(self, selectors.list_usable_plans(owner) if owner else every)
        if owner and "routes" in self.fields:
            accepted = capabilities.get_tenant_capabilities(owner).list_routes()
            self.fields[
                "routes"
            ].help_text += f" {owner} may use: {', '.join(accepted) or 'none yet'}."

    def _get_owner(self) -> Tenant | None:
        """Return the key's tenant, or the only one that can be chosen."""
        tenant: Tenant | None = self.instance.tenant if self.instance.pk else find_only_tenant(self)
        return tenant

    def clean(self) -> dict[str, Any]:
        """Reject routes that the tenant itself cannot use."""
        values = super().clean() or self.cleaned_data
        owner = self.instance.tenant if self.instance.pk else values.get("tenant")
        if owner is not None and "routes" in values:
            served = capabilities.get_capabilities().list_routes()
            strange = [
                name
                for name in values["routes"]
                # A route that the key has already is no reason to reject another change.
                if name not in self.instance.routes
                and not is_route_granted(
                    owner.routes, name, served_by=find_serving_route(served, name)
                )
            ]
            if strange:
                accepted = capabilities.get_tenant_capabilities(owner).list_routes()
                self.add_error(
                    "routes",
                    _describe_unknown_routes(strange, accepted, "Empty means all of them."),
                )
        return values


class ModelPriceForm(EditConflictForm):
    class Meta:
        model = ModelPrice
        fields = ("provider", "model", *BASE_RATE_NAMES, "terms")
        help_texts = PRICE_HELP_TEXTS
        widgets: ClassVar = {"terms": forms.Textarea(attrs={"rows": 6, "cols": 80})}


class ImportedPriceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A price from a file: the fields and checks of `ModelPriceForm`, without edit conflicts."""

    class Meta(ModelPriceForm.Meta):
        pass
