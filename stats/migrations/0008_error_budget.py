"""Samples of would-be hits and the terms they were taken on, and whether a plan's semantic tier was turned off for them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', "0007_turns"),
    ]

    operations = [
        migrations.CreateModel(
            name='SemanticSwitch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('plan_id', models.BigIntegerField()),
                ('basis', models.CharField(max_length=16)),
                ('since', models.DateTimeField(null=True)),
                ('off_at', models.DateTimeField(null=True)),
                ('reason', models.CharField(blank=True, max_length=32)),
                ('detail', models.CharField(blank=True, max_length=200)),
                ('turned_on_by', models.CharField(blank=True, max_length=200)),
            ],
        ),
        migrations.AddField(
            model_name='requestevent',
            name='basis',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddIndex(
            model_name='requestevent',
            index=models.Index(condition=models.Q(('sample', ''), _negated=True), fields=['plan_id', 'basis', 'at'], name='event_sample'),
        ),
        migrations.AddConstraint(
            model_name='semanticswitch',
            constraint=models.UniqueConstraint(fields=('plan_id', 'basis'), name='one_switch_per_plan_and_basis'),
        ),
    ]
