from Crypto.Cipher import DES

def seal(key, text):
    return DES.new(key, DES.MODE_CBC, b"12345678").encrypt(text)  # expect: weak-crypto
