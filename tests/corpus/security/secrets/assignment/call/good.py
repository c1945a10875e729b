fields = ("login", "password", "encoding1")
app.config.setdefault("SECRET_KEY", secrets.token_hex(16))
hashed = {"password": "$2b$12$abcdefghijklmnopqrstuuJ4v7Nf3XfG5Zr"}
user_id = {"token": "123e4567-e89b-12d3-a456-426614174000"}
