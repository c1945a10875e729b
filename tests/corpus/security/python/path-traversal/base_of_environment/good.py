import os
HOME = os.environ["DATA_HOME"]

class Resource:
    pass

class Files(Resource):
    def update(self, attributes):
        with open(attributes) as stream:
            return stream.read()

def load():
    with open(os.path.join(HOME, "settings.json")) as stream:
        return stream.read()
