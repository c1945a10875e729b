export function run(text) {
  const evaluate = parser.eval(text);
  return evaluate + model.eval(text) + eval('1 + 1');
}
