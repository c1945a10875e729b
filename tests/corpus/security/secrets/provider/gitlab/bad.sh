curl -H "PRIVATE-TOKEN: @GITLAB@" https://gitlab.example.com  # expect: hardcoded-secret
