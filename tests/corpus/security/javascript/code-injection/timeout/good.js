const code = location.hash.slice(1);
setTimeout(() => run(code), 10);
setTimeout(run, 10, code);
