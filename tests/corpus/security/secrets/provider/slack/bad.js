const slack = new WebClient('@SLACK@'); // expect: hardcoded-secret
