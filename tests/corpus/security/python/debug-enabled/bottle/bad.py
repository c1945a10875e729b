import bottle
bottle.run(host="localhost", debug=True)  # expect: debug-enabled
