$(window.location.hash).addClass('open'); // expect: xss
