from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

def stream(key, nonce):
    return Cipher(algorithms.AES(key), modes.GCM(nonce))
