"""Upstreams and routes raise the configuration's revision too (see plans 0002), and a route's version grows when its target changes.

The version keeps answers of the old target from being served, so it is the database that raises it, by whatever road the change came:
when the route gets another upstream or model, or its upstream another base URL or provider.
`base_url` loses Django's URL validator, which refuses the one-word hosts of container networks; `proxy.core.addresses` judges it.
"""

from django.db import migrations, models

TABLES = ("proxy_upstream", "proxy_route")

VERSIONS = """
CREATE FUNCTION proxy_raise_route_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.upstream_id IS DISTINCT FROM OLD.upstream_id OR NEW.model IS DISTINCT FROM OLD.model THEN
        NEW.version := greatest(OLD.version, NEW.version) + 1;
    ELSE
        NEW.version := greatest(OLD.version, NEW.version);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER raise_version BEFORE UPDATE ON proxy_route FOR EACH ROW EXECUTE FUNCTION proxy_raise_route_version();
CREATE FUNCTION proxy_raise_versions_of_upstream() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE proxy_route SET version = version + 1 WHERE upstream_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER raise_route_versions AFTER UPDATE ON proxy_upstream FOR EACH ROW
WHEN (NEW.base_url IS DISTINCT FROM OLD.base_url OR NEW.provider IS DISTINCT FROM OLD.provider)
EXECUTE FUNCTION proxy_raise_versions_of_upstream();
"""
NO_VERSIONS = """
DROP TRIGGER raise_route_versions ON proxy_upstream;
DROP FUNCTION proxy_raise_versions_of_upstream();
DROP TRIGGER raise_version ON proxy_route;
DROP FUNCTION proxy_raise_route_version();
"""
REVISION = """
CREATE TRIGGER raise_revision BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION plans_raise_revision();
"""


class Migration(migrations.Migration):
    dependencies = [("proxy", "0002_semantic_index"), ("plans", "0002_revision_triggers")]

    operations = [
        migrations.AlterField(
            "upstream",
            "base_url",
            models.CharField(max_length=500, help_text="Up to and without /chat/completions, such as https://api.openai.com/v1"),
        ),
        migrations.RunSQL(VERSIONS, NO_VERSIONS),
        *(migrations.RunSQL(REVISION.format(table=table), f"DROP TRIGGER raise_revision ON {table};") for table in TABLES),
    ]
