import json

def handler(event, context):
    formula = event["queryStringParameters"]["f"]
    return {"body": json.dumps(eval(formula))}  # expect: code-injection
