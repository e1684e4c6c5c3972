"""What makes a cached answer trusted: the second check, its context, its error budget, and the life of an entry."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0007_cache_write_price'),
    ]

    operations = [
        migrations.AddField(
            model_name='plan',
            name='context',
            field=models.CharField(choices=[('strict', 'Identical earlier turns'), ('window', 'The last turns and the question, compared by meaning'), ('last_message', 'The last message alone: for bots without memory')], default='strict', max_length=16),
        ),
        migrations.AddField(
            model_name='plan',
            name='match',
            field=models.CharField(choices=[('verified', "The verifier's score: whether both questions have the same answer"), ('cosine', 'The cosine of the embeddings: whether both questions are about the same')], default='cosine', max_length=16),
        ),
        migrations.AddField(
            model_name='plan',
            name='max_error_rate',
            field=models.FloatField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(0.0001), django.core.validators.MaxValueValidator(0.5)]),
        ),
        migrations.AddField(
            model_name='plan',
            name='sample_rate',
            field=models.FloatField(default=0.05, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1)]),
        ),
        migrations.AddField(
            model_name='plan',
            name='stale_if_error',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='plan',
            name='stale_while_revalidate',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='plan',
            name='ttl_jitter',
            field=models.FloatField(default=0.0, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(0.5)]),
        ),
        migrations.AddField(
            model_name='plan',
            name='window',
            field=models.PositiveSmallIntegerField(default=3, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(20)]),
        ),
        migrations.AlterField(
            model_name='plan',
            name='mode',
            field=models.CharField(choices=[('active', 'Active: save on every request'), ('shadow', 'Shadow: count what would have been saved, and answer from the provider'), ('off', 'Off: pass everything through')], default='active', max_length=16),
        ),
    ]
