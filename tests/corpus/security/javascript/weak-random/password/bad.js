function generatePassword(length) {
  let password = '';
  for (let i = 0; i < length; i += 1) {
    password += CHARS[Math.floor(Math.random() * CHARS.length)]; // expect: weak-random
  }
  return password;
}
