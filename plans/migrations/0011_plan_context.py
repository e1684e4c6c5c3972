"""A new plan compares chats by their window. Plans that are there keep what they have."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0010_tenant_quotas'),
    ]

    operations = [
        migrations.AlterField(
            model_name='plan',
            name='context',
            field=models.CharField(choices=[('strict', 'Strict: the earlier turns are identical'), ('window', 'Window: the user may have said the same in other words'), ('last_message', 'Last message: whatever was said before, for bots without memory')], default='window', max_length=16),
        ),
        migrations.AlterField(
            model_name='plan',
            name='window',
            field=models.PositiveSmallIntegerField(default=2, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(20)]),
        ),
    ]
