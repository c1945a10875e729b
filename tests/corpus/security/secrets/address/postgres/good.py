DATABASE_URL = os.environ["DATABASE_URL"]
LOCAL = "postgresql://postgres:postgres@localhost/app"
DOC = "postgresql://user:password@host/app"
