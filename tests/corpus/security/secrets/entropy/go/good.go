var publicKeyData = "@LONG@"
var lines = []string{
	"@LONG@",
}
