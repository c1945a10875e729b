from django.utils.html import escape, format_html
from django.utils.safestring import mark_safe

def highlight(text):
    mark_safe("<hr>")
    mark_safe("<mark>%s</mark>" % escape(text))
    return format_html("<mark>{}</mark>", text)
