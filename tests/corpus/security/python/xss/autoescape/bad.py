from jinja2 import Environment, FileSystemLoader

def environment():
    return Environment(loader=FileSystemLoader("t"), autoescape=False)  # expect: xss
