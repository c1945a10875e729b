$key = getenv('SENDGRID_KEY');
