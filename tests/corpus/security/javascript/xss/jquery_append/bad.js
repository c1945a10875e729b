const tag = window.location.hash.substring(1);
$('.tags').append('<li>' + tag + '</li>'); // expect: xss
