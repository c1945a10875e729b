from jinja2 import Environment, FileSystemLoader, select_autoescape

def environment():
    return Environment(loader=FileSystemLoader("t"), autoescape=select_autoescape())
