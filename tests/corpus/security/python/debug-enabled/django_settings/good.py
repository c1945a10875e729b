import os
INSTALLED_APPS = ["django.contrib.admin"]
DEBUG = os.environ.get("DEBUG", "") == "1"
