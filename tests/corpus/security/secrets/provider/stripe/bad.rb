Stripe.api_key = "@STRIPE@" # expect: hardcoded-secret
