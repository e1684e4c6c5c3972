"""The table of requests is cut into months by the time in their ids. What is there becomes the first part as it stands: no row is copied,
but those whose id lies ahead of this month, which no clock that goes right has made. Backwards every row is copied into one table.

Beside it, how far what was recorded has been forgotten.
"""

from datetime import UTC, datetime

from django.db import migrations, models

PARENT = "stats_requestevent"
AHEAD = 3  # months


def _month(later: int) -> datetime:
    now = datetime.now(UTC)
    years, number = divmod(now.month - 1 + later, 12)
    return datetime(now.year + years, number + 1, 1, tzinfo=UTC)


def _first_id(at: datetime) -> str:
    """Of that millisecond."""
    digits = f"{int(at.timestamp()) * 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def _stand_aside(cursor, name: str) -> list[str]:
    """Rename the table and its indexes; what makes the indexes on the table that takes its name."""
    cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s", [PARENT])
    indexes = cursor.fetchall()
    cursor.execute(f"ALTER TABLE {PARENT} RENAME TO {name}")
    for index, _ in indexes:
        cursor.execute(f'ALTER INDEX "{index}" RENAME TO "{index[:50]}_{name.rpartition("_")[2]}"')
    key = f"ALTER TABLE {PARENT} ADD CONSTRAINT {PARENT}_pkey PRIMARY KEY (event_id)"
    # of a table that is cut the definition says ONLY: on its parts it stands apart
    made = [text.replace(" ON ONLY ", " ON ") for index, text in indexes if index != f"{PARENT}_pkey"]
    return [key, *made]


def cut(apps, editor) -> None:
    first, rest = f"{PARENT}_first", f"{PARENT}_rest"
    like = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
    months = [_first_id(_month(later)) for later in range(AHEAD + 2)]
    with editor.connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {PARENT} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(f"SELECT EXISTS (SELECT FROM {PARENT})")
        used = cursor.fetchone()[0]
        indexes = _stand_aside(cursor, first)
        cursor.execute(f"CREATE TABLE {PARENT} (LIKE {first} {like}) PARTITION BY RANGE (event_id)")
        for statement in indexes:
            cursor.execute(statement)
        cursor.execute(f"CREATE TABLE {rest} PARTITION OF {PARENT} DEFAULT")
        if used:
            cursor.execute(
                f"WITH ahead AS (DELETE FROM {first} WHERE event_id >= %s RETURNING *) INSERT INTO {rest} SELECT * FROM ahead", [months[1]]
            )
            cursor.execute(f"ALTER TABLE {PARENT} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{months[1]}')")
        else:
            cursor.execute(f"DROP TABLE {first}")
        for later in range(1 if used else 0, AHEAD + 1):
            name = f"{PARENT}_{_month(later):y%Ym%m}"
            cursor.execute(f"CREATE TABLE {name} (LIKE {PARENT} {like})")
            low, high = months[later], months[later + 1]
            cursor.execute(
                f"WITH moved AS (DELETE FROM {rest} WHERE event_id >= %s AND event_id < %s RETURNING *) "
                f"INSERT INTO {name} SELECT * FROM moved",
                [low, high],
            )
            cursor.execute(f"ALTER TABLE {PARENT} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")


def join(apps, editor) -> None:
    cutup = f"{PARENT}_cut"
    with editor.connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {PARENT} IN ACCESS EXCLUSIVE MODE")
        indexes = _stand_aside(cursor, cutup)
        cursor.execute(f"CREATE TABLE {PARENT} (LIKE {cutup} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(f"INSERT INTO {PARENT} SELECT * FROM {cutup}")
        cursor.execute(f"DROP TABLE {cutup}")
        for statement in indexes:
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("stats", "0009_rollups")]

    operations = [
        migrations.CreateModel(
            name="Pruned",
            fields=[
                ("what", models.CharField(max_length=6, primary_key=True, serialize=False)),
                ("before", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(cut, join),
    ]
