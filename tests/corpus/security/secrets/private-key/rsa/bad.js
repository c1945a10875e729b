const key = `@RSABEGIN@ // expect: hardcoded-secret
@KEYBODY@`;
