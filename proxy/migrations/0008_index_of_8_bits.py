"""The vector index of the default embedder, which reads with weights of 8 bits now.

Entries of the one before are not found by meaning until `manage.py reembed` has moved them.
"""

from django.db import migrations

CREATE = (
    "CREATE INDEX semantic_hnsw_minilm ON proxy_semanticentry "
    "USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops) WHERE embedder = 'all-MiniLM-L6-v2@onnx-{}-384'"
)
DROP = "DROP INDEX semantic_hnsw_minilm"


class Migration(migrations.Migration):
    dependencies = [("proxy", "0007_read_timeout")]

    operations = [
        migrations.RunSQL(DROP, CREATE.format("fp32")),
        migrations.RunSQL(CREATE.format("uint8"), DROP),
    ]
