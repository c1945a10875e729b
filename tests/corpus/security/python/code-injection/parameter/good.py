import pandas as pd
OPERATORS = {"add": lambda a, b: a + b}

def apply(rule, row, model):
    model.eval()
    frame = pd.DataFrame(row)
    frame.eval("a + b")
    return OPERATORS[rule](row["a"], row["b"])
