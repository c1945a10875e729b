function generatePassword(length) {
  let password = '';
  for (let i = 0; i < length; i += 1) {
    password += CHARS[crypto.randomInt(CHARS.length)];
  }
  return password;
}
