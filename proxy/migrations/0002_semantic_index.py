"""The vector index of the default embedder, and vectors kept in the row.

HNSW needs a fixed dimension and `embedding` has none, so the index is on a cast, and partial: rows of other embedders stay out of it and
are found by an exact scan of their bucket. The embedder's id is that of `proxy.engines.embedders.onnx.MINILM_ID` when this was written.
MAIN storage keeps a vector out of the TOAST table: reading 1,000 of them there costs far more than measuring their distance.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("proxy", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX semantic_hnsw_minilm ON proxy_semanticentry "
            "USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops) WHERE embedder = 'all-MiniLM-L6-v2@onnx-fp32-384'",
            "DROP INDEX semantic_hnsw_minilm",
        ),
        migrations.RunSQL(
            "ALTER TABLE proxy_semanticentry ALTER COLUMN embedding SET STORAGE MAIN",
            "ALTER TABLE proxy_semanticentry ALTER COLUMN embedding SET STORAGE EXTERNAL",
        ),
    ]
