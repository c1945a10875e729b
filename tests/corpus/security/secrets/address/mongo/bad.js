mongoose.connect('mongodb+srv://admin:@PASS@@cluster0.mongodb.net/app'); // expect: hardcoded-secret
