export function run(text) {
  return eval('(' + text + ')'); // expect: code-injection
}
