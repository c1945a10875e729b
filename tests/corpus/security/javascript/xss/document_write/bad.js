document.write('<img src="/pixel?from=' + document.URL + '">'); // expect: xss
