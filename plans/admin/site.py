"""Titles of the admin site."""

from django.contrib import admin

admin.site.site_header = admin.site.site_title = "Tokenthrift"
admin.site.index_title = "What it costs, and what it saves"
