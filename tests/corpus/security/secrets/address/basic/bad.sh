curl https://deploy:@PASS@@ci.company.net/build  # expect: hardcoded-secret
