import json

def handler(event, context):
    formula = event["queryStringParameters"]["f"]
    return {"body": json.dumps(float(formula))}
