"""What an old chat is cut down for. Plans with TextRank take the question, as new ones do; the other engines have no ranks for one."""

from django.db import migrations, models

NO_QUESTION = "UPDATE plans_plan SET focus = 'none' WHERE compression_engine <> 'text_rank'"


class Migration(migrations.Migration):
    dependencies = [("plans", "0003_revision_notice")]

    operations = [
        migrations.AddField(
            "plan",
            "focus",
            models.CharField(
                choices=[
                    ("question", "The question: what it needs of the old part, and a gist of the rest"),
                    ("none", "None: what says most about the whole chat, whatever is asked"),
                ],
                default="question",
                max_length=16,
            ),
        ),
        migrations.RunSQL(NO_QUESTION, migrations.RunSQL.noop),
    ]
