const code = location.hash.slice(1);
setTimeout('run(' + code + ')', 10); // expect: code-injection
