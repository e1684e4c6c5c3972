"""How an upstream is reached (headers, parameters, proxy, certificates), and routes that end in *.

Upstreams of Azure keep sending their key as `Authorization: Bearer`, as they did until now; new ones send `api-key`.
"""

import django.core.validators
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def keep_bearer(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("proxy", "Upstream").objects.filter(provider="azure").update(key_header="bearer")


class Migration(migrations.Migration):
    dependencies = [
        ("proxy", "0010_route_default_plan"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalupstream",
            name="ca_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of a PEM file of the authorities that are believed here in place of the system's.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="historicalupstream",
            name="client_certificate_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of a PEM file, for a server that demands a client certificate.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="historicalupstream",
            name="client_key_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of its key, without a password. Empty: in the certificate's file.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="historicalupstream",
            name="forwarded_headers",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Names of clients' headers that reach the provider, one a line, such as OpenAI-Project. Requests with other values share no answer. Empty: none.",
            ),
        ),
        migrations.AddField(
            model_name="historicalupstream",
            name="key_header",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "As the provider asks"),
                    ("bearer", "Authorization: Bearer …"),
                    ("api-key", "api-key: …"),
                    ("x-api-key", "x-api-key: …"),
                ],
                default="",
                help_text="Azure OpenAI reads api-key, all others Authorization: Bearer.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="upstream",
            name="ca_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of a PEM file of the authorities that are believed here in place of the system's.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="upstream",
            name="client_certificate_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of a PEM file, for a server that demands a client certificate.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="upstream",
            name="client_key_file",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Path of its key, without a password. Empty: in the certificate's file.",
                max_length=500,
            ),
        ),
        migrations.AddField(
            model_name="upstream",
            name="encrypted_headers",
            field=models.BinaryField(default=b""),
        ),
        migrations.AddField(
            model_name="upstream",
            name="encrypted_proxy_url",
            field=models.BinaryField(default=b""),
        ),
        migrations.AddField(
            model_name="upstream",
            name="encrypted_query",
            field=models.BinaryField(default=b""),
        ),
        migrations.AddField(
            model_name="upstream",
            name="forwarded_headers",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Names of clients' headers that reach the provider, one a line, such as OpenAI-Project. Requests with other values share no answer. Empty: none.",
            ),
        ),
        migrations.AddField(
            model_name="upstream",
            name="key_header",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "As the provider asks"),
                    ("bearer", "Authorization: Bearer …"),
                    ("api-key", "api-key: …"),
                    ("x-api-key", "x-api-key: …"),
                ],
                default="",
                help_text="Azure OpenAI reads api-key, all others Authorization: Bearer.",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="historicalroute",
            name="model",
            field=models.CharField(
                help_text="The model's name at the upstream, such as gpt-4o-mini. Of a name with * it has one too, in the place of what the client says for it.",
                max_length=200,
            ),
        ),
        migrations.AlterField(
            model_name="historicalroute",
            name="name",
            field=models.CharField(
                db_index=True,
                help_text="What clients send as `model`, such as gpt-4o-mini. openai/* serves every name that begins with openai/ and has no route of its own.",
                max_length=128,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}[A-Za-z0-9._:/*-]?\\Z",
                        "Use letters, digits and . _ : / - only, 128 at most; * at the end stands for any model.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="historicalupstream",
            name="base_url",
            field=models.CharField(
                help_text="Up to and without /chat/completions, such as https://api.openai.com/v1. Empty: the provider's own.",
                max_length=500,
            ),
        ),
        migrations.AlterField(
            model_name="historicalupstream",
            name="provider",
            field=models.CharField(
                default="openai",
                help_text="Where it is, how it takes a key, and whose price list applies.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="route",
            name="model",
            field=models.CharField(
                help_text="The model's name at the upstream, such as gpt-4o-mini. Of a name with * it has one too, in the place of what the client says for it.",
                max_length=200,
            ),
        ),
        migrations.AlterField(
            model_name="route",
            name="name",
            field=models.CharField(
                help_text="What clients send as `model`, such as gpt-4o-mini. openai/* serves every name that begins with openai/ and has no route of its own.",
                max_length=128,
                unique=True,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}[A-Za-z0-9._:/*-]?\\Z",
                        "Use letters, digits and . _ : / - only, 128 at most; * at the end stands for any model.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="upstream",
            name="base_url",
            field=models.CharField(
                help_text="Up to and without /chat/completions, such as https://api.openai.com/v1. Empty: the provider's own.",
                max_length=500,
            ),
        ),
        migrations.AlterField(
            model_name="upstream",
            name="provider",
            field=models.CharField(
                default="openai",
                help_text="Where it is, how it takes a key, and whose price list applies.",
                max_length=64,
            ),
        ),
        migrations.RunPython(keep_bearer, migrations.RunPython.noop),
    ]
