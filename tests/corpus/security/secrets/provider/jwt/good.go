var token = os.Getenv("TOKEN")
