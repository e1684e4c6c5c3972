"""One row per stored answer, and what was asked to be deleted."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', '0004_decisions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_index=True)),
                ('by', models.CharField(max_length=200)),
                ('tenant_id', models.BigIntegerField(null=True)),
                ('plan_id', models.BigIntegerField(null=True)),
                ('entry_id', models.CharField(blank=True, max_length=64)),
                ('route', models.CharField(blank=True, max_length=128, verbose_name='model')),
                ('namespace', models.CharField(blank=True, max_length=128)),
                ('end_user', models.CharField(blank=True, max_length=64)),
                ('entries', models.PositiveBigIntegerField(default=0, help_text='Found when it was asked for.')),
            ],
            options={
                'verbose_name': 'deletion from the cache',
                'verbose_name_plural': 'deletions from the cache',
            },
        ),
        migrations.CreateModel(
            name='CacheEntry',
            fields=[
                ('entry_id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('sent', models.CharField(blank=True, max_length=64)),
                ('tenant_id', models.BigIntegerField()),
                ('tenant', models.CharField(max_length=64)),
                ('plan_id', models.BigIntegerField()),
                ('plan', models.CharField(max_length=64)),
                ('route', models.CharField(max_length=128, verbose_name='model')),
                ('namespace', models.CharField(blank=True, max_length=128)),
                ('end_user', models.CharField(blank=True, max_length=64)),
                ('backend', models.CharField(blank=True, max_length=64)),
                ('exact', models.BooleanField()),
                ('bytes', models.PositiveBigIntegerField()),
                ('created_at', models.DateTimeField(db_index=True)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('used_at', models.DateTimeField()),
                ('hits', models.PositiveBigIntegerField(default=0)),
                ('doomed_at', models.DateTimeField(null=True)),
                ('removed', models.BooleanField(default=False)),
            ],
            options={
                'verbose_name': 'cached answer',
                'indexes': [models.Index(fields=['tenant_id', 'used_at'], name='entry_lru'), models.Index(fields=['plan_id'], name='entry_plan'), models.Index(condition=models.Q(('end_user', ''), _negated=True), fields=['end_user'], name='entry_user'), models.Index(condition=models.Q(('sent', ''), _negated=True), fields=['sent'], name='entry_sent'), models.Index(condition=models.Q(('doomed_at__isnull', False)), fields=['doomed_at'], name='entry_doomed')],
            },
        ),
    ]
