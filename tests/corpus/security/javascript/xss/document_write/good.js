document.write('<img src="/pixel?from=' + encodeURIComponent(document.URL) + '">');
document.write('<script src="/local.js"><\/script>');
