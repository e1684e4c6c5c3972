"""When a chat is cut: whenever it is too long, as before, or only where that saves money."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0004_plan_focus")]

    operations = [
        migrations.AddField(
            "plan",
            "when",
            models.CharField(
                choices=[
                    ("always", "Always: no prompt is ever longer"),
                    ("saves", "When it saves: a prompt that the provider remembers may be cheaper whole"),
                ],
                default="always",
                max_length=16,
            ),
        ),
    ]
