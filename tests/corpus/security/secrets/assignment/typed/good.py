SECRET_KEY: str = config("SECRET_KEY")
SECRET_KEY_NAME: str = "projects/app/secrets/key1"
TOKEN_URL = "https://login.company.net/oauth2/v2/token"
