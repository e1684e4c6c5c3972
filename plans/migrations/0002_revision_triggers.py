"""Database triggers, so that a change by any road (admin, API, SQL, fixture) counts.

`plans_revision.value` is raised in the transaction of every change, hence seen only when it is committed, and gone when it is rolled
back. The trigger fires BEFORE the statement: a writer takes the revision's row lock before any row of the table, so two writers
queue instead of waiting for each other's rows. A missing row (a flushed database) is made again from the clock, in milliseconds,
so that a number once seen does not come back.

`plans_plan.version` grows when a column other than itself and `updated_at` changes.
"""

from django.db import migrations

TABLES = ("plans_tenant", "plans_virtualkey", "plans_plan", "plans_modelprice")

FUNCTIONS = """
CREATE FUNCTION plans_raise_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plans_revision (id, value) VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    ON CONFLICT (id) DO UPDATE SET value = plans_revision.value + 1;
    RETURN NULL;
END $$;
INSERT INTO plans_revision (id, value) VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) ON CONFLICT DO NOTHING;
CREATE FUNCTION plans_raise_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - 'version' - 'updated_at' IS DISTINCT FROM to_jsonb(OLD) - 'version' - 'updated_at' THEN
        NEW.version := OLD.version + 1;
    ELSE
        NEW.version := OLD.version;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER raise_version BEFORE UPDATE ON plans_plan FOR EACH ROW EXECUTE FUNCTION plans_raise_plan_version();
"""
TRIGGER = """
CREATE TRIGGER raise_revision BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION plans_raise_revision();
"""


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial")]

    operations = [
        migrations.RunSQL(
            FUNCTIONS,
            "DROP TRIGGER raise_version ON plans_plan; DROP FUNCTION plans_raise_plan_version(); DROP FUNCTION plans_raise_revision();",
        ),
        *(migrations.RunSQL(TRIGGER.format(table=table), f"DROP TRIGGER raise_revision ON {table};") for table in TABLES),
    ]
