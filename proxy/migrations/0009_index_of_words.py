"""The vector index of word vectors, by which entries of plans that verify are found.

Workers move entries there in the background (`proxy.runtime.embedder_change`); those of plans under
`match: cosine` stay in the index of the model.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("proxy", "0008_index_of_8_bits")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX semantic_hnsw_words ON proxy_semanticentry USING hnsw ((embedding::halfvec(128)) halfvec_cosine_ops) "
            "WHERE embedder = 'all-MiniLM-L6-v2@words1-128'",
            "DROP INDEX semantic_hnsw_words",
        )
    ]
