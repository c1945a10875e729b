var c = "UseDevelopmentStorage=true";
var d = $"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key}";
