integrity = "sha512-@LONG@"
content_hash = "@LONG@"
alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
