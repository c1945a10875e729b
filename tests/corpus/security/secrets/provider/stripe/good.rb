Stripe.api_key = ENV["STRIPE_KEY"]
Stripe.api_key = "sk_test_your_key_here"
