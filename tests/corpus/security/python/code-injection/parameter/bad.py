def apply(rule, row):
    return eval(rule, {}, row)  # expect: code-injection
