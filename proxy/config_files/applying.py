"""Make the database say what a configuration file says: all of it or nothing, in one transaction.

A field that an object leaves out takes its default. Objects that no file names stay, unless they
are pruned (`proxy.config_files.pruning`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction

from plans import capabilities, key_secrets, presets, services, validation
from plans.api_errors import InvalidPlan
from plans.import_export.resources import MemoizedCapabilities
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from plans.records import compute_row_version
from plans.snapshot import ALL_ROUTES, find_serving_route, is_route_granted
from proxy.config_files.changes import (
    HIDDEN_VALUE,
    Action,
    AppliedChanges,
    FieldDifference,
    ObjectChange,
)
from proxy.config_files.fields import (
    KEY_FIELDS,
    PRICE_FIELDS,
    ROUTE_FIELDS,
    TENANT_FIELDS,
    UPSTREAM_FIELDS,
    FileField,
)
from proxy.config_files.reader import BadConfigFile, ConfigDocument, Problem, ValuePath
from proxy.config_files.references import MissingReference, read_secret
from proxy.models import Route, Upstream
from proxy.upstreams.secrets import UpstreamSecrets, read_present_secrets
from proxy.upstreams.services import check_upstream_values, save_upstream

# In the order in which they are written: what comes later may name what came before.
SECTIONS: Final = ("upstreams", "routes", "tenants", "plans", "prices")
TENANT_SECTIONS: Final = ("plans", "keys")
# What a file calls each secret of an upstream.
SECRET_NAMES: Final = {"key": "key", "headers": "headers", "query": "query", "proxy_url": "proxy"}
REASON: Final = "Applied from a file"

Values = dict[str, Any]


class ConfigApplier:
    """Writes what a document says, and collects changes and problems.

    Within a transaction that holds the configuration's lock (`apply_config`).
    """

    def __init__(self, document: ConfigDocument) -> None:
        self.document = document
        self.done = AppliedChanges()
        self.problems: list[Problem] = []
        self._upstreams: dict[str, Upstream] = {}
        # Written once all plans are: the path of each, its row and the name of its default plan.
        self._defaults: list[tuple[ValuePath, Route | Tenant, str | None]] = []
        self._system: Any = MemoizedCapabilities(capabilities.get_capabilities())

    def write_all(self) -> None:
        """Write every section. Raises BadConfigFile with all that is wrong."""
        for name in self.document.values:
            if name not in SECTIONS:
                self._refuse((name,), f"Unknown section. Accepted: {', '.join(SECTIONS)}.")
        self._upstreams = {each.name: each for each in Upstream.objects.all()}
        writers: dict[str, Callable[[ValuePath, str, Any], None]] = {
            "upstreams": self._write_upstream,
            "routes": self._write_route,
            "tenants": self._write_tenant,
            "plans": lambda path, name, said: self._write_plan(path, name, said, owner=None),
            "prices": self._write_price,
        }
        for section in SECTIONS:
            for path, name, said in self.iter_objects((section,)):
                writers[section](path, name, said)
        for path, row, plan in self._defaults:
            self._write_default_plan(path, row, plan)
        self._write_keys()
        if self.problems:
            raise BadConfigFile(dict.fromkeys(self.problems))

    def iter_objects(self, path: ValuePath) -> Iterator[tuple[ValuePath, str, Any]]:
        """Yield the objects of a section: path, name and what the file says of each."""
        said: Any = self.document.values
        for name in path:
            said = said.get(name) if isinstance(said, Mapping) else None
        if said is None:
            return
        if not isinstance(said, Mapping):
            self._refuse(path, "Must be a mapping of names.")
            return
        for name, one in said.items():
            yield (*path, name), name, one

    def note_change(
        self,
        action: Action,
        kind: str,
        name: str,
        differences: "list[FieldDifference] | tuple[()]" = (),
    ) -> None:
        self.done.changes.append(ObjectChange(action, kind, name, differences))

    def _refuse(self, path: ValuePath, text: str) -> None:
        self.problems.append(self.document.make_problem(path, text))

    def _read_fields(
        self, path: ValuePath, said: Any, fields: Mapping[str, FileField], *others: str
    ) -> Values | None:
        """Return an object's values by field; None after noting what is wrong.

        `others`: names that are no fields and are read elsewhere.
        """
        if said is None:
            said = {}
        if not isinstance(said, Mapping):
            self._refuse(path, f"Must be a mapping of: {', '.join((*fields, *others))}.")
            return None
        before = len(self.problems)
        for name in sorted(said.keys() - fields.keys() - set(others)):
            self._refuse(
                (*path, name), f"Unknown field. Accepted: {', '.join((*fields, *others))}."
            )
        values: Values = {}
        for name, field in fields.items():
            if name not in said:
                if field.is_required:
                    self._refuse(path, f"{name} is missing: {field.help}")
                continue
            try:
                given = said[name]
                if field.is_secret and isinstance(given, str):
                    given = read_secret(given)
                found = field.read(given)
                values[name] = _read_secret_values(found) if field.has_secret_values else found
            except (ValueError, MissingReference) as error:
                self._refuse((*path, name), str(error))
        return values if len(self.problems) == before else None

    def _write_row(
        self,
        kind: str,
        name: str,
        path: ValuePath,
        row: models.Model,
        columns: Mapping[str, Any],
        *,
        save: Callable[[str, set[str]], object] | None = None,
        changed_secrets: Iterable[str] = (),
    ) -> bool:
        """Save a row if it differs; whether it is valid.

        `save`: how, given the version that was read and the columns that changed;
        `changed_secrets`: fields that are no columns.
        """
        is_new = row._state.adding
        read_version = "" if is_new else compute_row_version(row)
        differences = set_columns(row, columns)
        differences += [
            FieldDifference(each, HIDDEN_VALUE, HIDDEN_VALUE) for each in changed_secrets
        ]
        if not (is_new or differences):
            self.done.unchanged += 1
            return True
        changed = {each.field for each in differences} & columns.keys()
        try:
            if save is not None:
                save(read_version, changed)
            else:
                row.full_clean()
                save_row(row, read_version, changed)
        except ValidationError as error:
            self._refuse_invalid(path, error)
            return False
        self.note_change(
            "create" if is_new else "update", kind, name, [] if is_new else differences
        )
        return True

    def _refuse_invalid(self, path: ValuePath, error: ValidationError) -> None:
        fields = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in fields.items():
            where = (*path, name) if (*path, name) in self.document.places else path
            text = " ".join(messages)
            self._refuse(where, text if where != path or not name else f"{name}: {text}")

    def _write_upstream(self, path: ValuePath, name: str, said: Any) -> None:
        values = self._read_fields(path, said, UPSTREAM_FIELDS)
        if values is None:
            return
        row = self._upstreams.get(name) or Upstream(name=name)
        columns = _fill_columns(Upstream, values, UPSTREAM_FIELDS)
        given = UpstreamSecrets(
            **{field: values[said] for field, said in SECRET_NAMES.items() if said in values}
        )
        try:
            # As it will be stored, or the same file would change it each time.
            checked = check_upstream_values(Upstream(name=name, **columns), given)
        except ValidationError as error:
            self._refuse_invalid(path, _name_file_fields(error))
            return
        columns |= {"base_url": checked.base_url, "forwarded_headers": checked.forwarded_headers}
        secrets = checked.secrets
        if self._write_row(
            "upstream",
            name,
            path,
            row,
            columns,
            save=lambda version, changed: save_upstream(
                row,
                provider_key=secrets.key,
                headers=secrets.headers,
                query=secrets.query,
                proxy_url=secrets.proxy_url,
                read_version=version,
                columns=changed,
            ),
            changed_secrets=() if row._state.adding else _list_changed_secrets(row, secrets),
        ):
            self._upstreams[name] = row

    def _write_route(self, path: ValuePath, name: str, said: Any) -> None:
        values = self._read_fields(path, said, ROUTE_FIELDS)
        if values is None:
            return
        upstream = self._upstreams.get(values["upstream"])
        if upstream is None:
            known = ", ".join(sorted(self._upstreams)) or "none"
            self._refuse((*path, "upstream"), f"No such upstream. There are: {known}.")
            return
        row = Route.objects.filter(name=name).first() or Route(name=name)
        columns = {"upstream": upstream} | _fill_columns(Route, values, ROUTE_FIELDS)
        if self._write_row("route", name, path, row, columns):
            self._defaults.append((path, row, values.get("default_plan")))

    def _write_tenant(self, path: ValuePath, slug: str, said: Any) -> None:
        values = self._read_fields(path, said, TENANT_FIELDS, *TENANT_SECTIONS)
        if values is None:
            return
        known = set(Route.objects.values_list("name", flat=True))
        strange = sorted(
            name
            for name in set(values.get("routes", ())) - known - {ALL_ROUTES}
            if not find_serving_route(known, name)
        )
        if strange:
            self._refuse((*path, "routes"), f"No such route: {', '.join(strange)}.")
            return
        row = Tenant.objects.filter(slug=slug).first() or Tenant(slug=slug)
        columns = _fill_columns(Tenant, values, TENANT_FIELDS)
        if not self._write_row("tenant", slug, path, row, columns):
            return
        self._defaults.append((path, row, values.get("default_plan")))
        for plan_path, name, plan in self.iter_objects((*path, "plans")):
            self._write_plan(plan_path, name, plan, owner=row)

    def _write_plan(self, path: ValuePath, name: str, said: Any, *, owner: Tenant | None) -> None:
        system = capabilities.get_tenant_capabilities(owner, self._system)
        body = {} if said is None else said
        try:
            if isinstance(body, Mapping):
                body = {"plan_name": name} | dict(body)
            draft = validation.validate_plan(
                presets.expand_preset(body, capabilities=system), capabilities=system
            )
        except InvalidPlan as error:
            for field, text in error.problems.items():
                self._refuse((*path, *field.split(".")) if field else path, text)
            return
        if draft.name != name:
            self._refuse((*path, "plan_name"), "The plan's name is that of its mapping.")
            return
        row = Plan.objects.filter(tenant=owner, name=name).first() or Plan(tenant=owner, name=name)
        self._write_row(
            "plan",
            f"{owner.slug}/{name}" if owner else name,
            path,
            row,
            services.build_plan_columns(draft),
        )

    def _write_default_plan(self, path: ValuePath, row: Route | Tenant, name: str | None) -> None:
        """Give a saved route or tenant its default plan, as part of its own change."""
        owner = row if isinstance(row, Tenant) else None
        found, plan = self._find_plan((*path, "default_plan"), name, owner)
        kind = "tenant" if owner else "route"
        if not found or row.default_plan == plan:
            return
        shown = str(row)
        before = len(self.done.changes)
        if self._write_row(kind, shown, path, row, {"default_plan": plan}):
            self._join_changes(kind, shown, before)

    def _join_changes(self, kind: str, name: str, start: int) -> None:
        """Make one change of the one after `start` and an earlier one of the same object."""
        (later,) = self.done.changes[start:]
        for place, each in enumerate(self.done.changes[:start]):
            if (each.kind, each.name) == (kind, name):
                joined = () if each.action == "create" else (*each.differences, *later.differences)
                self.done.changes[place] = replace(each, differences=joined)
                self.done.changes.pop()
                return
        self.done.unchanged -= 1

    def _find_plan(
        self, path: ValuePath, name: str | None, owner: Tenant | None
    ) -> tuple[bool, Plan | None]:
        """Find a plan of the owner or the platform; False, with a problem, if there is none."""
        if name is None:
            return True, None
        rows = Plan.objects.filter(name=name, tenant=None)
        own = Plan.objects.filter(name=name, tenant=owner) if owner else rows
        plan = own.first() or rows.first()
        if plan is None:
            whose = f"{owner.slug} or the platform" if owner else "the platform"
            self._refuse(path, f"No such plan of {whose}.")
        return plan is not None, plan

    def _write_keys(self) -> None:
        tenants = {each.slug: each for each in Tenant.objects.all()}
        for path, slug, _ in self.iter_objects(("tenants",)):
            tenant = tenants.get(slug)
            for key_path, name, key in self.iter_objects((*path, "keys")) if tenant else ():
                self._write_key(key_path, name, key, tenant=tenant)  # type: ignore[arg-type]  # not None here

    def _write_key(self, path: ValuePath, name: str, said: Any, *, tenant: Tenant) -> None:
        values = self._read_fields(path, said, KEY_FIELDS)
        if values is None:
            return
        known = set(Route.objects.values_list("name", flat=True))
        strange = [
            each
            for each in values.get("routes", ())
            if not is_route_granted(tenant.routes, each, served_by=find_serving_route(known, each))
        ]
        if strange:
            text = f"{tenant.slug} may not use: {', '.join(strange)}."
            self._refuse((*path, "routes"), text)
            return
        secret = values["secret"]
        digest = key_secrets.compute_key_digest(secret, pepper=settings.KEY_PEPPER)
        row = VirtualKey.objects.filter(digest=digest).first()
        if row is not None and (row.tenant_id, row.name) != (tenant.pk, name):
            self._refuse((*path, "secret"), "Is the secret of another key.")
            return
        if row is not None and row.revoked_at is not None:
            self._refuse((*path, "secret"), "Was revoked: give the key a new secret.")
            return
        if row is None:
            prefix = key_secrets.mask_key(secret)
            row = VirtualKey(tenant=tenant, name=name, prefix=prefix, digest=digest)
        found, plan = self._find_plan((*path, "default_plan"), values.get("default_plan"), tenant)
        if not found:
            return
        columns = _fill_columns(VirtualKey, values, KEY_FIELDS) | {"default_plan": plan}
        if self._write_row("key", f"{tenant.slug}/{name}", path, row, columns):
            self._revoke_others(row)

    def _revoke_others(self, row: VirtualKey) -> None:
        """Revoke the former keys of that name: it was given a new secret."""
        same = VirtualKey.objects.filter(tenant=row.tenant_id, name=row.name, revoked_at=None)
        for other in same.exclude(pk=row.pk):
            services.revoke_key(key=other)
            self.note_change("revoke", "key", f"{row.tenant.slug}/{row.name} ({other.prefix}...)")

    def _write_price(self, path: ValuePath, name: str, said: Any) -> None:
        values = self._read_fields(path, said, PRICE_FIELDS)
        provider, slash, model = name.partition("/")
        if not (provider and slash and model):
            self._refuse(path, "Must be named <provider>/<model>, such as openai/gpt-4o-mini.")
            return
        if values is None:
            return
        row = ModelPrice.objects.filter(provider=provider, model=model).first()
        columns = _fill_columns(ModelPrice, values, PRICE_FIELDS) | {"edited": True}
        self._write_row(
            "price", name, path, row or ModelPrice(provider=provider, model=model), columns
        )


def apply_config(
    document: ConfigDocument,
    *,
    dry_run: bool = False,
    after: Callable[[ConfigApplier], None] = lambda applier: None,
) -> AppliedChanges:
    """Write what the document says and return what changed; with `dry_run`, undo it again.

    `after`: called before the end of the transaction. Raises BadConfigFile, and ApiError if rows
    changed meanwhile; then nothing is written.
    """
    with transaction.atomic():
        services.lock_configuration()
        applier = ConfigApplier(document)
        applier.write_all()
        after(applier)
        transaction.set_rollback(dry_run)
    return applier.done


def set_columns(row: models.Model, columns: Mapping[str, Any]) -> list[FieldDifference]:
    """Set columns of an unsaved copy of a row; return those whose value was another."""
    differences = []
    for name, value in columns.items():
        before = getattr(row, name, None) if not _is_unset_relation(row, name) else None
        if before != value:
            differences.append(FieldDifference(name, format_value(before), format_value(value)))
            setattr(row, name, value)
    return differences


def save_row(row: models.Model, read_version: str, changed: set[str]) -> None:
    """Create a row, or save its changed columns. Raises ApiError if it changed meanwhile."""
    if row._state.adding:
        services.create_row(row, reason=REASON)
    else:
        services.update_row(row, read_version=read_version, columns=changed, reason=REASON)


def format_value(value: Any) -> Any:
    """Return a column's value as JSON has it."""
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def _is_unset_relation(row: models.Model, name: str) -> bool:
    field = row._meta.get_field(name)
    return field.is_relation and getattr(row, getattr(field, "attname", name), None) is None


def _fill_columns(
    model: type[models.Model], values: Mapping[str, Any], fields: Mapping[str, FileField]
) -> Values:
    """Return a value for each plain column: the file's, or its default."""
    return {
        field.column: values.get(name, model._meta.get_field(field.column).get_default())  # type: ignore[union-attr]  # columns are no relations
        for name, field in fields.items()
        if field.column
    }


def _list_changed_secrets(row: Upstream, secrets: UpstreamSecrets) -> list[str]:
    """Return the names of secrets that are others now, or that nobody can decrypt."""
    present, unreadable = read_present_secrets(row)
    return [
        name
        for field, name in SECRET_NAMES.items()
        if field in unreadable or getattr(present, field) != getattr(secrets, field)
    ]


def _name_file_fields(error: ValidationError) -> ValidationError:
    """Return the error with the names that fields have in a file."""
    names = {field.column: name for name, field in UPSTREAM_FIELDS.items() if field.column}
    names |= SECRET_NAMES | {"provider_key": SECRET_NAMES["key"]}
    return ValidationError(
        {names.get(name, name): texts for name, texts in error.message_dict.items()}
    )


def _read_secret_values(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs with the values that they refer to. Raises MissingReference."""
    return {name: read_secret(value) for name, value in pairs.items()}
