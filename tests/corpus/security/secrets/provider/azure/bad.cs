var c = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=@AZURE@"; // expect: hardcoded-secret
