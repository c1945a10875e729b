Client.new(ENV.fetch("CLIENT_SEED"))
