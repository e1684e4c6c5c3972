"""A raised revision is told to whoever listens (NOTIFY, sent when the transaction commits), so that workers need not wait for their poll."""

from django.db import migrations

NOTICE = """
CREATE FUNCTION plans_tell_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tokenthrift_configuration', NEW.value::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_revision AFTER INSERT OR UPDATE ON plans_revision FOR EACH ROW EXECUTE FUNCTION plans_tell_revision();
"""


class Migration(migrations.Migration):
    dependencies = [("plans", "0002_revision_triggers")]

    operations = [migrations.RunSQL(NOTICE, "DROP TRIGGER tell_revision ON plans_revision; DROP FUNCTION plans_tell_revision();")]
