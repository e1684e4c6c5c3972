"""Answers that were said to be wrong. Each word, and each that is taken back, raises the configuration's revision: every worker hears of it."""

import django.db.models.deletion
from django.db import migrations, models

REVISION = """
CREATE TRIGGER raise_revision BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON proxy_wronganswer
FOR EACH STATEMENT EXECUTE FUNCTION plans_raise_revision();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('proxy', '0004_entries'),
    ]

    operations = [
        migrations.CreateModel(
            name='WrongAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.UUIDField(unique=True)),
                ('at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('tenant_id', models.BigIntegerField(null=True)),
                ('tenant', models.CharField(blank=True, max_length=64)),
                ('plan_id', models.BigIntegerField(null=True)),
                ('plan', models.CharField(blank=True, max_length=64)),
                ('entry_id', models.CharField(max_length=64)),
                ('said_by', models.CharField(help_text='The virtual key, or the member of staff.', max_length=200)),
                ('similarity', models.FloatField(null=True)),
                ('score', models.FloatField(null=True)),
                ('bucket', models.CharField(blank=True, max_length=64)),
                ('embedder', models.CharField(blank=True, max_length=100)),
                ('embedding', models.BinaryField(default=b'')),
                ('radius', models.FloatField(null=True)),
                ('threshold', models.FloatField(null=True)),
                ('answered_at', models.DateTimeField(help_text='When the answer was made.', null=True)),
                ('until', models.DateTimeField()),
                ('undone_at', models.DateTimeField(editable=False, null=True)),
                ('undone_by', models.CharField(blank=True, editable=False, max_length=150)),
            ],
            options={
                'verbose_name': 'wrong answer',
                'ordering': ('-at',),
            },
        ),
        migrations.CreateModel(
            name='EvictedAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('entry_id', models.CharField(max_length=64)),
                ('tier', models.CharField(max_length=64)),
                ('similarity', models.FloatField()),
                ('scope', models.CharField(max_length=64)),
                ('plan_id', models.BigIntegerField()),
                ('value', models.BinaryField()),
                ('created_at', models.FloatField()),
                ('expires_at', models.FloatField(db_index=True)),
                ('bucket', models.CharField(blank=True, max_length=64)),
                ('embedder', models.CharField(blank=True, max_length=100)),
                ('question', models.TextField(blank=True)),
                ('embedding', models.BinaryField(default=b'')),
                ('said', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='evicted', to='proxy.wronganswer')),
            ],
            options={
                'verbose_name': 'evicted answer',
            },
        ),
        migrations.RunSQL(REVISION, "DROP TRIGGER raise_revision ON proxy_wronganswer;"),
    ]
