String account = System.getenv("TWILIO");
