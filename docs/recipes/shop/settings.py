DEBUG = True
SECRET_KEY = "for this machine only"  # noqa: S105
ROOT_URLCONF = "shop.views"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
