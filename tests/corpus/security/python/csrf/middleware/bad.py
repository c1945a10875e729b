INSTALLED_APPS = ["django.contrib.auth"]
MIDDLEWARE = [  # expect: csrf
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
