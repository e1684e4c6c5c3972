"""Cached answers in the admin: a permission to read their text, and a record of each look."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('proxy', '0003_revision_triggers'),
        ('stats', '0005_cache_entries'),
    ]

    operations = [
        migrations.CreateModel(
            name='EntryLook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('user_id', models.BigIntegerField()),
                ('user', models.CharField(max_length=150)),
                ('entry_id', models.CharField(db_index=True, max_length=64)),
                ('tenant', models.CharField(max_length=64)),
                ('plan', models.CharField(max_length=64)),
            ],
            options={
                'verbose_name': 'look at a cached answer',
                'verbose_name_plural': 'looks at cached answers',
            },
        ),
        migrations.CreateModel(
            name='Entry',
            fields=[
            ],
            options={
                'verbose_name': 'cached answer',
                'permissions': (('view_entry_text', 'Can read the text of cached answers'),),
                'proxy': True,
                'indexes': [],
                'constraints': [],
            },
            bases=('stats.cacheentry',),
        ),
    ]
