"""How much of the caches a tenant may fill, and what it fills as last counted."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0009_invalidation'),
    ]

    operations = [
        migrations.CreateModel(
            name='TenantUsage',
            fields=[
                ('tenant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='usage', serialize=False, to='plans.tenant')),
                ('entries', models.PositiveBigIntegerField(default=0)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
                ('counted_at', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='tenant',
            name='max_bytes',
            field=models.PositiveBigIntegerField(blank=True, help_text='Likewise, of all answers together.', null=True, verbose_name='most cached bytes'),
        ),
        migrations.AddField(
            model_name='tenant',
            name='max_entries',
            field=models.PositiveBigIntegerField(blank=True, help_text='Beyond it, those used longest ago go. Empty: no limit.', null=True, verbose_name='most cached answers'),
        ),
    ]
