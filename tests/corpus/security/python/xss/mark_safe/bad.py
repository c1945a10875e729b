from django.utils.safestring import mark_safe

def highlight(text):
    return mark_safe("<mark>%s</mark>" % text)  # expect: xss
